from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hum_shared.config.workspace import open_workspace
from hum_shared.errors import InputError
from hum_shared.index import PredictionEntry
from hum_slurm.context import Context, open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.training import plan_training
from hum_slurm.pack_file import Pack, read_pack, write_pack
from hum_slurm.packing import make_pack
from hum_slurm.results import compare_entries
from hum_slurm.unpacking import plan_all_scripts, plan_workspace, verify
from support.slurm_workspace import HOSTILE, make_workspace

INDEX = "BENCHMARK/runs/v1_a/len400_hop050_th50/evaluation/index.json"
TABLE = "BENCHMARK/runs/v1_a/len400_hop050_th50/evaluation/annotations/t.txt"
MODEL = "TRAINING/runs/models/v1_a/models/ANIMAL-SPOT.pk"


def entry(**changes: object) -> dict[str, object]:
    return {"uid": 1, "pred_path": "t.txt", "tape": "1.wav", "start_s": 1.0, "end_s": 2.0, "dur_s": 1.0} | changes


def packed_workspace(root: Path) -> Context:
    make_workspace(root, "dataset_a")
    (root / "data/bench/labelled_recordings/1_ü.wav").write_bytes(b"sound")
    (root / "workspace.toml").write_text(
        'site = "local-test"\ndata_root = "data/train"\nbenchmark_corpus = "data/bench"\n'
    )
    plan_training(open_context(root)).write()
    plan_benchmark(open_context(root)).write()
    plan_evaluation(open_context(root)).write()
    for name, text in {INDEX: json.dumps({"entries": [entry()]}), TABLE: "table", MODEL: "weights"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return open_context(root)


def remarks(file: Path, root: Path, site: str = "local-test") -> list[str]:
    pack = read_pack(file)
    plan_workspace(pack, open_context(root, site)).write()
    plan_all_scripts(pack, open_context(root, site)).write()
    return [f"{remark.state}: {remark.text}" for remark in verify(pack, open_context(root, site))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "runs.tar.gz"
    write_pack(path, make_pack(packed_workspace(tmp_path / HOSTILE)))
    return path


def test_a_workspace_is_recreated_for_its_new_place(tmp_path: Path, file: Path) -> None:
    root = tmp_path / "new place"
    remarks(file, root)
    old = tmp_path / HOSTILE
    for name in ("TRAINING/jobs/train.manifest.jsonl", "BENCHMARK/jobs/evaluate.manifest.jsonl"):
        assert (root / name).read_bytes() == (old / name).read_bytes()
    scripts = {path.name for path in (root / "BENCHMARK/jobs").glob("*.batch")}
    assert scripts == {path.name for path in (old / "BENCHMARK/jobs").glob("*.batch")}
    text = (root / "BENCHMARK/jobs/eval_v1_a.batch").read_text()
    assert f"workspace='{root}'\n" in text
    assert "it's a" not in text
    assert 'benchmark_corpus = "data/bench"' in (root / "workspace.toml").read_text()


def test_a_root_that_only_the_site_of_a_workspace_knows_is_written_into_it(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    packed_workspace(old)
    with (old / "workspace.toml").open("a") as file:
        file.write(f'[roots]\nbig = "{tmp_path}"\n')
    write_pack(tmp_path / "runs.tar.gz", make_pack(open_context(old)))
    new.mkdir()
    (new / "workspace.toml").write_text('site = "here.toml"\n')
    (new / "here.toml").write_text(f'runtime = "venv"\n[roots]\nbig = "{tmp_path}"\n')
    plan_workspace(read_pack(tmp_path / "runs.tar.gz"), open_context(new)).write()
    assert open_workspace(new).resolve("{big}/x") == tmp_path / "x"


def test_inputs_are_to_be_copied_and_then_checked(tmp_path: Path, file: Path) -> None:
    root = tmp_path / "new"
    missing = "problem: 2 inputs missing: data/bench/corpus_index.json, data/bench/labelled_recordings/1_ü.wav"
    assert any(line.startswith(missing) for line in remarks(file, root))
    shutil.copytree(tmp_path / HOSTILE / "data", root / "data")
    assert "ok: all 2 inputs are those of the pack" in remarks(file, root)
    (root / "data/bench/labelled_recordings/1_ü.wav").write_bytes(b"other")
    assert any("1 inputs not what was packed" in line for line in remarks(file, root))


def test_it_says_why_results_need_not_be_equal_to_the_byte(tmp_path: Path, file: Path) -> None:
    said = "\n".join(remarks(file, tmp_path / "new"))
    assert f"note: model {MODEL}: not here" in said
    assert "within tolerances only: it was packed without images; the models are others" in said


def test_results_are_compared_once_there_are_some(tmp_path: Path, file: Path) -> None:
    root = tmp_path / "new"
    assert any("nothing was run here yet" in line for line in remarks(file, root))
    shutil.copytree(tmp_path / HOSTILE / "BENCHMARK/runs", root / "BENCHMARK/runs")
    assert {"ok: 1 of 1 indexes have equal entries", "ok: 1 of 1 tables are equal byte by byte"} <= set(
        remarks(file, root)
    )
    (root / INDEX).write_text(json.dumps({"entries": [entry(start_s=1.5)]}))
    assert any(line.startswith("problem: 1 indexes hold other selections") for line in remarks(file, root))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "equal"),
        ({"start_s": 1.005}, "close"),
        ({"start_s": 1.02}, "different"),
        ({"score_max": 0.905}, "close"),
        ({"score_max": 0.95}, "different"),
        ({"score_max": None}, "different"),
        ({"tape": "2.wav"}, "different"),
    ],
)
def test_entries_are_equal_close_or_different(changes: dict[str, object], verdict: str) -> None:
    one = PredictionEntry.model_validate(entry(score_max=0.9))
    two = PredictionEntry.model_validate(entry(**{"score_max": 0.9, **changes}))
    assert compare_entries([one], [two]) == verdict


def test_another_number_of_entries_is_different() -> None:
    assert compare_entries([], [PredictionEntry.model_validate(entry())]) == "different"
    assert compare_entries([], []) == "equal"


def test_a_file_that_is_there_with_other_content_is_left_alone(tmp_path: Path, file: Path) -> None:
    cfg = tmp_path / "new/TRAINING/cfg/v1_a/alpaca_server.cfg"
    cfg.parent.mkdir(parents=True)
    cfg.write_text("mine")
    with pytest.raises(InputError, match="differs from what was packed"):
        remarks(file, tmp_path / "new")
    assert cfg.read_text() == "mine"


def test_a_damaged_pack_is_refused(tmp_path: Path, file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a whole pack"):
        read_pack(file)


def test_flipped_bytes_anywhere_are_noticed_where_they_change_anything(tmp_path: Path, file: Path) -> None:
    whole, pack = file.read_bytes(), read_pack(file)
    unnoticed = 0
    for at in range(20, len(whole), 97):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            found = read_pack(file)
        except InputError:
            continue
        # Compressed text repeats what came before; the flip may point to another copy of the same.
        assert (found.description, found.files, found.results) == (pack.description, pack.files, pack.results)
        unnoticed += 1
    assert unnoticed <= 1


def test_a_result_that_is_not_what_was_packed_is_refused(tmp_path: Path, file: Path) -> None:
    pack = read_pack(file)
    (name,) = pack.results
    changed = Pack(pack.description, pack.files, {name: pack.results[name] + b" "})
    write_pack(tmp_path / "changed.tgz", changed)
    with pytest.raises(InputError, match="is not what was packed"):
        read_pack(tmp_path / "changed.tgz")


def altered_pack(path: Path, pack: Pack, changes: Mapping[str, object], **files: bytes) -> Path:
    """Write a pack of some files with a changed description, as somebody with bad intentions would."""
    described = pack.description.model_dump(mode="json") | changes
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"pack.json": json.dumps(described).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_pack_that_would_write_elsewhere_is_refused(tmp_path: Path) -> None:
    pack = make_pack(packed_workspace(tmp_path / "w"))
    evil = altered_pack(tmp_path / "evil.tar.gz", pack, {"files": {"../evil": "0"}}, **{"files/../evil": b"x"})
    with pytest.raises(InputError, match="lies outside the workspace"):
        read_pack(evil)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("script", "/home/me/.bashrc"),
        ("script", "/home/me/x.batch"),
        ("script", "workspace.toml"),
        ("script", "../x.batch"),
        ("launcher", "../../../.profile"),
        ("launcher", "../x.sbatch"),
        ("set_name", "../.."),
        ("set_name", "/tmp"),
    ],
)
def test_a_pack_whose_scripts_would_lie_elsewhere_is_refused(tmp_path: Path, file: Path, key: str, value: str) -> None:
    pack = read_pack(file)
    stages = [packed.model_dump(mode="json") for packed in pack.description.stages]
    (stages[1]["arrays"][0] if key == "script" else stages[1])[key] = value
    with pytest.raises(InputError, match=r"would write .*\. This pack is not to be trusted\."):
        read_pack(altered_pack(tmp_path / "evil.tar.gz", pack, {"stages": stages}))


def test_a_file_that_is_no_text_is_named_when_it_is_packed_or_unpacked(tmp_path: Path) -> None:
    context = packed_workspace(tmp_path / "w")
    (tmp_path / "w/notes.json").write_bytes('{"ort": "Köln"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"notes\.json: not UTF-8 text"):
        make_pack(context)
    (tmp_path / "w/notes.json").unlink()
    pack = make_pack(context)
    pack.files = {**pack.files, "notes.json": b"K\xf6ln"}
    with pytest.raises(InputError, match=r"the pack's notes\.json is not UTF-8 text"):
        plan_workspace(pack, open_context(tmp_path / "new", "local-test"))


def test_an_empty_workspace_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to pack"):
        make_pack(open_context(tmp_path))


def test_equal_contents_give_equal_bytes(tmp_path: Path, file: Path) -> None:
    write_pack(tmp_path / "again.tar.gz", read_pack(file))
    assert (tmp_path / "again.tar.gz").read_bytes() == file.read_bytes()
