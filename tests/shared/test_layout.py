from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared import layout
from hum_shared.errors import InputError

ROOT = Path("/work spaces/Grün $1")
WORKSPACE = layout.Workspace(ROOT, {"scratch": Path("/scratch/me"), "corpora": ROOT / "inside"})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("BENCHMARK/runs", ROOT / "BENCHMARK/runs"),
        ("/abs/x.wav", Path("/abs/x.wav")),
        ("{scratch}/a b/x.wav", Path("/scratch/me/a b/x.wav")),
        ("{scratch}", Path("/scratch/me")),
        ("{data}/x.wav", ROOT / "data/x.wav"),
        ("$HOME/~/x", ROOT / "$HOME/~/x"),
        ("a {data}/x", ROOT / "a {data}/x"),
    ],
)
def test_values_of_cfgs_become_paths(text: str, path: Path) -> None:
    assert WORKSPACE.resolve(text) == path


def test_an_unknown_root_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no root named 'scrach'; known: \{corpora\}, \{data\}, \{scratch\}"):
        WORKSPACE.resolve("{scrach}/x")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (ROOT / "TRAINING" / "x", "TRAINING/x"),
        (Path("/scratch/me/x"), "{scratch}/x"),
        (Path("/elsewhere/x"), "/elsewhere/x"),
        (ROOT / "inside" / "x", "inside/x"),
    ],
)
def test_paths_become_values_that_survive_a_move(path: Path, text: str) -> None:
    assert WORKSPACE.relative(path) == text


@given(
    st.sampled_from([ROOT, Path("/scratch/me"), Path("/abs")]),
    st.lists(st.sampled_from(["a b", "ü", "$x", "."]), min_size=1),
)
def test_values_and_paths_round_trip(folder: Path, parts: list[str]) -> None:
    path = folder.joinpath(*parts)
    assert WORKSPACE.resolve(WORKSPACE.relative(path)) == path


def test_the_tree_of_the_design() -> None:
    benchmark = WORKSPACE.benchmark()
    found = {
        str(path.relative_to(ROOT))
        for path in (
            WORKSPACE.settings_file,
            WORKSPACE.data,
            WORKSPACE.training_cfg("v1_random"),
            WORKSPACE.training_jobs.manifest("train"),
            WORKSPACE.model_folder("v1_random"),
            WORKSPACE.progress_file("predict", "m1"),
            benchmark.cfg("m1", "len400_hop050_th90", "predict"),
            benchmark.jobs.manifest("predict"),
            benchmark.run("m1", "len400_hop050_th90"),
            benchmark.scores("m1", 400, 50),
            benchmark.metrics,
            benchmark.metrics_per_tape,
            WORKSPACE.benchmark("field").scores("m1", 50, 5),
        )
    }
    assert found == {
        "workspace.toml",
        "data",
        "TRAINING/cfg/v1_random/alpaca_server.cfg",
        "TRAINING/jobs/train.manifest.jsonl",
        "TRAINING/runs/models/v1_random",
        "progress/predict/m1.json",
        "BENCHMARK/cfg/m1/len400_hop050_th90/predict.cfg",
        "BENCHMARK/jobs/predict.manifest.jsonl",
        "BENCHMARK/runs/m1/len400_hop050_th90",
        "BENCHMARK/scores/m1/len400_hop050",
        "BENCHMARK/metrics.csv",
        "BENCHMARK/metrics_per_tape.csv",
        "BENCHMARK/sets/field/scores/m1/len050_hop005",
    }


def test_files_of_a_recording_keep_its_dots() -> None:
    name = "387_20201207_cut.wav_900_1800.wav"
    stem = "387_20201207_cut.wav_900_1800"
    assert layout.score_file(Path("s"), name) == Path(f"s/{stem}_predict_output.parquet")
    assert layout.log_file(Path("s"), name) == Path(f"s/{stem}_predict_output.log")
    assert layout.table_file(Path("s"), name) == Path(f"s/{stem}_predict_output.log.annotation.result.txt")


def test_the_model_of_a_folder(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with pytest.raises(InputError, match="found: none"):
        layout.model_file(tmp_path)
    models.mkdir()
    (models / "b.pt").touch()
    assert layout.model_file(tmp_path) == models / "b.pt"
    (models / "a.pk").touch()
    with pytest.raises(InputError, match=r"found: a\.pk, b\.pt"):
        layout.model_file(tmp_path)
    (models / "ANIMAL-SPOT.pk").touch()
    assert layout.model_file(tmp_path) == models / "ANIMAL-SPOT.pk"


def test_hidden_folders_hold_no_runs(tmp_path: Path) -> None:
    for folder in ("m/v", ".trash/v", "m/.old"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "m" / "notes.txt").touch()
    assert layout.run_folders(tmp_path) == [tmp_path / "m" / "v"]
    with pytest.raises(InputError, match="no such folder"):
        layout.run_folders(tmp_path / "nowhere")
