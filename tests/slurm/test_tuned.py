from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from hum_shared.config.cfg import read_cfg
from hum_shared.config.decoding import DecoderFile, read_decoder_file, write_decoder_file
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.errors import CfgError, InputError
from hum_shared.files import sha256_file
from hum_slurm.cluster import submit_stages
from hum_slurm.context import open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.plan import Plan
from support.slurm_workspace import HOSTILE, make_workspace, read_rows, write_json

HYSTERESIS = {"seq_len": 0.4, "hop": 0.05, "threshold": 0.5, "decoder": "hysteresis"}
TAG = "len400_hop050_th50_hysteresis"


def workspace(root: Path, recipe: str = "frames", **decoders: dict[str, Any]) -> Path:
    """A workspace with one model; `decoders` are what was tuned for it."""
    make_workspace(root)
    cfg = root / "TRAINING/cfg/m/alpaca_server.cfg"
    cfg.parent.mkdir(parents=True)
    source = "data_dir=data/train" if recipe == "clips" else "corpus_index=data/train $1/corpus_index.json"
    cfg.write_text(f"{source}\nmodel_dir=m\ncheckpoint_dir=c\nsequence_len=400\nrecipe={recipe}\n", encoding="utf-8")
    models = root / "TRAINING/runs/models/m/models"
    models.mkdir(parents=True)
    (models / "ANIMAL-SPOT.pk").write_bytes(b"weights")
    if decoders:
        best = next(iter(decoders))
        content = {"best": best, "decoders": decoders, "tuned_on": {}}
        write_decoder_file(models / "decoder.json", DecoderFile.model_validate(content))
    return root


def plan(root: Path, *variants: dict[str, Any]) -> Plan:
    path = write_json(root.parent / "benchmark_variants.json", list(variants))
    planned = plan_benchmark(open_context(root), corpus_root=str(root / "data/bench"), variants_json=str(path))
    planned.write()
    return planned


def eval_text(root: Path, tag: str = TAG) -> str:
    return (root / "BENCHMARK/cfg/m" / tag / "eval.cfg").read_text(encoding="utf-8")


def test_where_nothing_is_left_to_predict_the_stage_is_to_be_left_out(tmp_path: Path) -> None:
    root = workspace(tmp_path / HOSTILE)
    corpus = root / "data/train $1"
    (corpus / "labelled_recordings").mkdir(parents=True)
    (corpus / "corpus_index.json").write_text('{"entries": []}')
    plan(root, HYSTERESIS)  # of another corpus
    left = [root / "BENCHMARK/jobs" / name for name in ("predict.manifest.jsonl", "pred_m.batch", "pred_models.batch")]
    own = plan_benchmark(open_context(root), corpus_root=str(corpus))
    (warning,) = [line for line in own.warnings if "of an earlier benchmark" in line]
    assert warning.endswith(shlex.join(["rm", "--", *map(str, left)]))
    for path in left:
        path.unlink()
    settings = 'site = "local-test"\nbenchmark_corpus = "data/train $1"\n'
    (root / "workspace.toml").write_text(settings)
    said: list[str] = []
    with pytest.raises(InputError, match=r"^predict: nothing to do here, .* Leave it out, or run that again\.$"):
        submit_stages(root, ["predict", "tune"], chain=True, dry_run=True, say=said.append)
    assert not [line for line in said if line.startswith("predict:")]


def test_a_chosen_variant_reads_the_track_that_all_share(tmp_path: Path) -> None:
    root = workspace(tmp_path / HOSTILE)
    fine = HYSTERESIS | {"hop": 0.01}
    plan(root, HYSTERESIS, fine)
    tasks = read_rows(root / "BENCHMARK/jobs/predict.manifest.jsonl")
    path = str(tmp_path / "benchmark_variants.json")
    again = plan_benchmark(
        open_context(root), corpus_root=str(root / "data/bench"), variants_json=path,
        only_variants=["len400_hop010_th50_hysteresis"],
    )  # fmt: skip
    again.write()
    assert [row["outputs"] for row in read_rows(root / "BENCHMARK/jobs/predict.manifest.jsonl")] == [
        row["outputs"] for row in tasks
    ]
    assert "scores_dir=BENCHMARK/scores/m/len400_hop050\n" in eval_text(root, "len400_hop010_th50_hysteresis")


@pytest.mark.parametrize("recipe", ["frames", "windows"])
def test_a_model_that_is_still_to_be_tuned_gets_a_row_and_the_path_of_the_result(tmp_path: Path, recipe: str) -> None:
    root = workspace(tmp_path / HOSTILE, recipe)
    planned = plan(root, HYSTERESIS)
    assert any(step.startswith("hum-slurm run tune --executor local ") for step in planned.next_steps)
    assert "decoder_file=TRAINING/runs/models/m/models/decoder.json\n" in eval_text(root)
    (row,) = read_rows(root / "BENCHMARK/jobs/tune.manifest.jsonl")
    assert (row["stage"], row["task"]) == ("tune", "m")
    assert row["command"][:-2] == [
        *("hum-evaluator", "tune", "--gt", "data/train $1/corpus_index.json"),
        *("--scores", "TRAINING/runs/models/m/out_of_tape", "--out", "TRAINING/runs/models/m/models/decoder.json"),
    ]
    assert row["outputs"] == ["TRAINING/runs/models/m/models/decoder.json"]
    assert (root / "BENCHMARK/jobs/tune.batch").is_file()


def test_a_tuned_model_gets_its_values_written_out(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", hysteresis={"edge_level": 0.35, "threshold": 0.4, "min_gap_s": 0.03})
    planned = plan(root, HYSTERESIS)
    assert not any("run tune" in step for step in planned.next_steps)
    assert "decoder_file" not in eval_text(root)
    cfg = read_cfg(root / "BENCHMARK/cfg/m" / TAG / "eval.cfg", EvaluationCfg)
    assert (cfg.decoder, cfg.threshold, cfg.edge_level, cfg.min_gap_s) == ("hysteresis", 0.5, 0.35, 0.03)


@pytest.mark.parametrize(("recipe", "step_s", "warns"), [
    ("windows", 0.04, False), ("windows", 0.02, True), ("frames", 0.004, False),
])  # fmt: skip
def test_settings_tuned_for_another_step_between_windows_are_warned_of(
    tmp_path: Path, recipe: str, step_s: float, warns: bool
) -> None:
    root = workspace(tmp_path / "w", recipe, hysteresis={"edge_level": 0.35})
    decoder = root / "TRAINING/runs/models/m/models/decoder.json"
    write_decoder_file(decoder, read_decoder_file(decoder).model_copy(update={"tuned_on": {"step_s": step_s}}))
    assert any("Set score_hop to 50 (ms)" in line for line in plan(root, HYSTERESIS).warnings) == warns


def test_a_model_without_the_scores_to_tune_on_is_named(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w")
    scores = root / "TRAINING/runs/models/m/out_of_tape"
    assert [line for line in plan(root, HYSTERESIS).warnings if line.startswith(f"{scores}: not there. Run the stage")]
    scores.mkdir()
    assert not plan(root, HYSTERESIS).warnings


def test_what_was_tuned_for_another_model_is_not_written_out(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", hysteresis={"edge_level": 0.35})
    decoder = root / "TRAINING/runs/models/m/models/decoder.json"
    tuned = read_decoder_file(decoder)
    own = {"models": [sha256_file(decoder.with_name("ANIMAL-SPOT.pk"))]}
    for tuned_on, is_stale in ((own, False), ({"models": ["b" * 64]}, True)):
        write_decoder_file(decoder, tuned.model_copy(update={"tuned_on": tuned_on}))
        planned = plan(root, HYSTERESIS)
        assert ("decoder_file=" in eval_text(root)) == is_stale
        assert any("another model" in line for line in planned.warnings) == is_stale


def test_what_a_variant_says_wins_over_what_was_tuned(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", hysteresis={"edge_level": 0.35, "min_gap_s": 0.03})
    plan(root, {**HYSTERESIS, "edge_level": 0.6, "name": "wide"})
    cfg = read_cfg(root / "BENCHMARK/cfg/m" / f"{TAG}-wide" / "eval.cfg", EvaluationCfg)
    assert (cfg.edge_level, cfg.min_gap_s) == (0.6, 0.03)


def test_a_decoder_that_was_not_tuned_keeps_its_defaults_and_is_named(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", peak={"edge_level": 0.35})
    planned = plan(root, HYSTERESIS)
    assert [line for line in planned.warnings if "holds no settings of decoder hysteresis" in line]
    assert "edge_level" not in eval_text(root)


def test_models_whose_training_scores_no_tapes_are_not_tuned(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", recipe="clips")
    union = {key: value for key, value in HYSTERESIS.items() if key != "decoder"}
    plan(root, union, HYSTERESIS)
    assert "decoder_file" not in eval_text(root)
    assert not (root / "BENCHMARK/jobs/tune.manifest.jsonl").exists()
    text = eval_text(root, "len400_hop050_th50")
    assert "decoder=union\n" in text
    assert "edge_level" not in text


def test_settings_that_no_decoder_knows_are_refused(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w")
    with pytest.raises(CfgError, match="did you mean 'edge_level'"):
        plan(root, {**HYSTERESIS, "edgelevel": 0.6})
    with pytest.raises(CfgError, match=r"decoder: input should be 'union', 'hysteresis'"):
        plan(root, {**HYSTERESIS, "decoder": "magic"})
