"""The factories that start from the runs of a benchmark: evaluation, rf, cutouts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hum_shared.config.cfg import read_cfg
from hum_shared.config.rf import RfCfg
from hum_shared.errors import CfgError, InputError
from hum_shared.manifest import read_manifest
from hum_slurm.context import Context, open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.cutouts import plan_cutouts
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.rf import plan_rf
from hum_slurm.factories.runs import runs_without_task
from hum_slurm.factories.training import plan_training
from support.slurm_workspace import HOSTILE, make_workspace, read_rows

TAGS = ["len400_hop050_th50", "len400_hop050_th50_hysteresis", "len400_hop050_th90"]


def benchmarked(root: Path, set_name: str | None = None) -> Context:
    """A workspace with two models × the three shipped variants."""
    make_workspace(root, "dataset_a", "dataset_b")
    plan_training(open_context(root), data_root=str(root / "data/train")).write()
    plan_benchmark(open_context(root), corpus_root=str(root / "data/bench"), set_name=set_name).write()
    return open_context(root)


def test_evaluation_has_a_row_per_run_and_an_array_per_model(tmp_path: Path) -> None:
    root = tmp_path / HOSTILE
    plan_evaluation(benchmarked(root)).write()
    jobs = root / "BENCHMARK/jobs"
    rows = read_rows(jobs / "evaluate.manifest.jsonl")
    assert [row["task"] for row in rows] == [f"{model}__{tag}" for model in ("v1_a", "v2_b") for tag in TAGS]
    assert rows[0]["command"][:3] == ["hum-evaluator", "run", f"BENCHMARK/cfg/v1_a/{TAGS[0]}/eval.cfg"]
    prediction = f"BENCHMARK/runs/v1_a/{TAGS[0]}/prediction"
    assert rows[0]["inputs"][1:] == ["BENCHMARK/scores/v1_a/len400_hop050", prediction]
    assert rows[0]["outputs"] == [f"BENCHMARK/runs/v1_a/{TAGS[0]}/evaluation/index.json"]
    second = (jobs / "eval_v2_b.batch").read_text()
    assert "#SBATCH --array=0-2%20\n" in second
    assert "first_row=3\n" in second
    assert (jobs / "eval_models.batch").read_text().count("\nsbatch ") == 2


def test_runs_that_were_added_since_have_no_task(tmp_path: Path) -> None:
    context = benchmarked(tmp_path / "w")
    benchmark = context.workspace.benchmark()
    plan_evaluation(context).write()
    rows = read_manifest(benchmark.jobs.manifest("evaluate"))
    assert runs_without_task(context.workspace, benchmark, rows) == []
    added = benchmark.cfg("v1_a", "len400_hop050_th70", "eval")
    added.parent.mkdir()
    added.write_text(benchmark.cfg("v1_a", TAGS[0], "eval").read_text())
    left = runs_without_task(context.workspace, benchmark, rows)
    assert left == ["BENCHMARK/cfg/v1_a/len400_hop050_th70/eval.cfg"]


def test_evaluation_finds_another_tree_by_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "w"
    planned = plan_evaluation(benchmarked(root, "field"), benchmark_root="BENCHMARK/sets/field/")
    planned.write()
    assert any(step.startswith("hum-slurm run evaluate --executor local --set field ") for step in planned.next_steps)
    row = read_rows(root / "BENCHMARK/sets/field/jobs/evaluate.manifest.jsonl")[0]
    assert row["task"].startswith("set-field__")


def test_a_set_without_runs_names_the_command_that_writes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Run hum-slurm benchmark --set field first\."):
        plan_evaluation(open_context(tmp_path), set_name="field")


def test_a_tree_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one of them"):
        plan_evaluation(open_context(tmp_path), benchmark_root="BENCHMARK", set_name="field")


@pytest.mark.parametrize("factory", [plan_evaluation, plan_rf, plan_cutouts])
def test_without_a_benchmark_there_is_nothing_to_plan(tmp_path: Path, factory: object) -> None:
    assert callable(factory)
    with pytest.raises(InputError, match="Run hum-slurm benchmark first"):
        factory(open_context(tmp_path))


def test_rf_writes_a_cfg_per_run_that_pins_the_forest(tmp_path: Path) -> None:
    root = tmp_path / HOSTILE
    context = benchmarked(root)
    forest = root / "forest of 2020.pkl"
    forest.write_bytes(b"trees")
    plan_rf(context, rf_model=str(forest), rf_threshold=0.3, n_fft=512, hop=128, include_deltas=False).write()
    assert read_cfg(root / f"BENCHMARK/cfg/v1_a/{TAGS[0]}/rf.cfg", RfCfg) == RfCfg(
        run_root=f"BENCHMARK/runs/v1_a/{TAGS[0]}",
        audio_dir="data/bench/labelled_recordings",
        rf_model_path="forest of 2020.pkl",
        rf_threshold=0.3,
        n_fft=512,
        hop=128,
        include_deltas=False,
        rf_model_sha256=hashlib.sha256(b"trees").hexdigest(),
        scores_dir="BENCHMARK/scores/v1_a/len400_hop050",
    )
    jobs = root / "BENCHMARK/jobs"
    assert len(read_rows(jobs / "rf.manifest.jsonl")) == 6
    assert "#SBATCH --array=0-5%20\n" in (jobs / "rf_all.batch").read_text()
    assert "rf_all.batch" in (jobs / "rf_runs.batch").read_text()


def test_a_forest_still_to_be_trained_is_warned_about_and_not_pinned(tmp_path: Path) -> None:
    planned = plan_rf(benchmarked(tmp_path / "w"))
    planned.write()
    cfg = read_cfg(tmp_path / f"w/BENCHMARK/cfg/v1_a/{TAGS[0]}/rf.cfg", RfCfg)
    assert (cfg.rf_model_path, cfg.rf_model_sha256) == ("TRAINING/rf/forest.skops", None)
    assert "forest.skops: not there yet" in planned.warnings[0]


def test_without_a_threshold_the_forests_card_decides_when_the_filter_runs(tmp_path: Path) -> None:
    context = benchmarked(tmp_path / "w")
    plan_rf(context).write()
    path = tmp_path / f"w/BENCHMARK/cfg/v1_a/{TAGS[0]}/rf.cfg"
    assert (read_cfg(path, RfCfg).use_card_threshold, read_cfg(path, RfCfg).rf_threshold) == (True, 0.4)
    plan_rf(context, rf_threshold=0.4).write()
    assert not read_cfg(path, RfCfg).use_card_threshold


def test_the_filter_reads_the_forests_card_and_the_runs_scores(tmp_path: Path) -> None:
    plan_rf(benchmarked(tmp_path / "w")).write()
    row = read_rows(tmp_path / "w/BENCHMARK/jobs/rf.manifest.jsonl")[0]
    assert {"TRAINING/rf/forest.card.json", "BENCHMARK/scores/v1_a/len400_hop050"} <= set(row["inputs"])


def test_an_audio_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder; name that of the recordings with --audio-root"):
        plan_rf(benchmarked(tmp_path / "w"), audio_root=str(tmp_path / "nowhere"))


def test_cutouts_of_both_layers_stay_runnable_side_by_side(tmp_path: Path) -> None:
    root = tmp_path / HOSTILE
    context, jobs = benchmarked(root), root / "BENCHMARK/jobs"
    for layer in ("postrf", "evaluation", "postrf"):
        plan_cutouts(context, layer=layer).write()
    rows = read_rows(jobs / "cutouts.manifest.jsonl")
    digest = hashlib.sha256((jobs / "cutouts.manifest.jsonl").read_bytes()).hexdigest()
    assert [row["task"].rpartition("__")[2] for row in rows].count("postrf") == len(rows) / 2
    for layer in ("postrf", "evaluation"):
        assert digest in (jobs / f"cutouts_{layer}.batch").read_text()


def test_cutouts_has_a_row_per_run_and_one_array_named_by_its_layer(tmp_path: Path) -> None:
    root = tmp_path / "w"
    plan_cutouts(benchmarked(root), layer="evaluation").write()
    rows = read_rows(root / "BENCHMARK/jobs/cutouts.manifest.jsonl")
    assert len(rows) == 6
    run = f"BENCHMARK/runs/v1_a/{TAGS[0]}"
    audio = "data/bench/labelled_recordings"
    assert rows[0]["command"][:-2] == ["hum-evaluator", "cutouts", run, "--stage", "evaluation", "--audio-dir", audio]
    assert rows[0]["outputs"] == [f"{run}/evaluation/cutouts"]
    assert (root / "BENCHMARK/jobs/cutouts_evaluation.batch").is_file()


@pytest.mark.parametrize("option", [{"rf_threshold": 3.0}, {"n_fft": 1}, {"hop": 4096}])
def test_a_filter_option_that_cannot_be_is_refused(tmp_path: Path, option: dict[str, float]) -> None:
    context = benchmarked(tmp_path)
    values = {"audio_root": None, "rf_model": None, "rf_threshold": 0.4, "n_fft": 2048, "hop": 1024} | option
    with pytest.raises(CfgError, match=f"options of hum-slurm rf: .*{next(iter(option))}"):
        plan_rf(context, benchmark_root=None, set_name=None, include_deltas=True, **values)
