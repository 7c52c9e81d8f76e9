"""The whole pipeline by its commands: on the real recordings beside the project, else on a made-up paddock."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hum_shared.index import PredictionIndex, read_index
from hum_shared.selections import read_selections

ROOT = Path(__file__).parents[2]
FINCHES = ROOT.parent / "shared" / "corpora" / "zebra_finch"

MODELS = ["dense", "original"]
DATASET = {
    "active_strategies": ["proportional_by_tape"],
    "strategies": {"proportional_by_tape": {"split_strategy": "proportional_by_tape", "seed": 1}},
}
ORIGINAL = {
    "dataset": "dataset_proportional_by_tape", "max_pool": 1, "min_max_norm": True, "batch_size": 16,
    "epochs_per_eval": 3, "seed": 1,
}  # fmt: skip
DENSE = {"corpus": "training_corpus", "n_folds": 2, "max_train_epochs": 4, "examples_per_epoch": 160, "seed": 1}
FINCH = {
    "sequence_len": 50, "sr": 32000, "n_fft": 512, "hop_length": 128, "n_freq_bins": 64, "fmin": 500, "fmax": 12000,
    "lr": 1e-5, "max_train_epochs": 6,
}  # fmt: skip
PADDOCK = {
    "sequence_len": 400, "sr": 16000, "n_fft": 1024, "hop_length": 320, "n_freq_bins": 48, "fmin": 50, "fmax": 4000,
    "lr": 2e-5, "max_train_epochs": 12,
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace in which the demo has run, under a hostile path."""
    folder = tmp_path_factory.mktemp("e2e") / "Größe 'x' \"y\" $HOME" / "demo"
    real = FINCHES.is_dir()
    seq_len, hop = (0.05, 0.01) if real else (0.4, 0.1)
    settings = {
        "dataset_prep": DATASET,
        "train_variants": {"variants": {"dense": DENSE, "original": ORIGINAL | (FINCH if real else PADDOCK)}},
        "benchmark_variants": [
            {"seq_len": seq_len, "hop": hop, "threshold": 0.9},
            {"seq_len": seq_len, "hop": hop, "threshold": 0.5, "decoder": "hysteresis"},
        ],
    }
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(settings))
    _demo(folder, real)
    return folder


def _demo(folder, real):
    corpora = ["--corpus", FINCHES / "training_corpus_v1", "--benchmark-corpus", FINCHES / "benchmark_corpus_v1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "demo.py", "--cfg", folder / "cfg.json", "--out", folder / "out",
         *(corpora if real else [])],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_folder_that_holds_another_corpus_is_refused(tmp_path):
    for corpus in ("own", "made up/data/training_corpus"):
        (tmp_path / corpus / "labelled_recordings").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "demo.py", "--out", tmp_path / "made up",
         "--corpus", tmp_path / "own", "--benchmark-corpus", tmp_path / "own"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "is of another corpus than" in done.stderr) == (2, True)


def _metrics(workspace):
    with (workspace / "out" / "BENCHMARK" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_variant_and_layer_is_compared(workspace):
    rows = _metrics(workspace)
    assert len({(row["model"], row["variant"], row["layer"]) for row in rows}) == len(rows) == 8
    assert {row["layer"] for row in rows} == {"evaluation", "postrf"}


def test_the_detector_finds_calls(workspace):
    best = {model: max(float(r["f1"]) for r in _metrics(workspace) if r["model"] == model) for model in MODELS}
    assert best["original"] > 0.3
    assert best["dense"] > 0.9


def test_the_filter_only_takes_away(workspace):
    rows = {(row["model"], row["variant"], row["layer"]): int(row["n_pred"]) for row in _metrics(workspace)}
    for model, variant in {run[:2] for run in rows}:
        assert 0 < rows[model, variant, "postrf"] <= rows[model, variant, "evaluation"]


def test_variants_that_differ_in_threshold_share_their_scores(workspace):
    scores = list((workspace / "out" / "BENCHMARK" / "scores").glob("*/*"))
    assert sorted(path.parent.name for path in scores) == MODELS
    manifest = (workspace / "out" / "BENCHMARK" / "jobs" / "predict.manifest.jsonl").read_text().splitlines()
    assert len(manifest) == len(MODELS)


def test_decoder_and_forest_of_the_dense_model_come_from_tapes_its_networks_had_not_seen(workspace):
    out = workspace / "out"
    decoder = json.loads((out / "TRAINING/runs/models/dense/models/decoder.json").read_text())
    assert decoder["best"] in decoder["decoders"]
    cfgs = list((out / "BENCHMARK/sets/rf_training/cfg/dense").glob("*/eval.cfg"))
    assert len(cfgs) == 2
    assert all("scores_dir=TRAINING/runs/models/dense/out_of_tape" in cfg.read_text() for cfg in cfgs)
    assert not (out / "BENCHMARK/sets/rf_training/scores/dense").exists()


def test_there_is_a_report_to_look_at(workspace):
    assert "Use this run" in (workspace / "out" / "BENCHMARK" / "report.html").read_text()


def test_tables_and_index_agree(workspace):
    for run in (workspace / "out" / "BENCHMARK" / "runs").glob("*/*"):
        for layer in ("evaluation", "postrf"):
            index = read_index(run / layer / "index.json", PredictionIndex)
            tables = list((run / layer / "annotations").glob("*.txt"))
            assert sum(len(read_selections(table)) for table in tables) == len(index.entries)
            assert len(tables) == len(index.meta.recordings or [])


def test_paths_in_cfgs_and_manifests_do_not_tie_the_workspace_to_its_place(workspace):
    inside = str(workspace)
    for path in [*(workspace / "out").rglob("*.cfg"), *(workspace / "out").rglob("*.manifest.jsonl")]:
        assert inside not in path.read_text(), path


def test_a_second_run_changes_nothing(workspace):
    kept = [
        path
        for pattern in ("**/*.parquet", "**/*.pk", "**/index.json", "**/*.skops")
        for path in (workspace / "out").glob(pattern)
    ]
    before = {path: path.stat().st_mtime_ns for path in kept}
    said = _demo(workspace, FINCHES.is_dir())
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert re.search(r"done 0, failed 0, skipped \d+", said)


def test_the_source_corpora_are_left_alone(workspace):
    if not FINCHES.is_dir():
        pytest.skip("needs the real recordings beside the project")
    assert not list(FINCHES.rglob("corpus_index.json"))
    assert not list(FINCHES.rglob("dataset_*"))
