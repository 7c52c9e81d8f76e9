"""The whole chain through sbatch, compared with the local executor."""

from __future__ import annotations

import json
import shutil

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.tiny_workspace import CHAIN, MODELS, VARIANTS


@pytest.fixture(scope="module", params=["venv", "apptainer"])
def chained(request: pytest.FixtureRequest) -> ClusterWorkspace:
    """A chain that has ended."""
    workspace: ClusterWorkspace = request.getfixturevalue(f"{request.param}_chain")
    return workspace


def test_every_task_is_done(chained: ClusterWorkspace) -> None:
    counts = {stage: report["counts"] for stage, report in chained.status().items()}
    expected = {"train": 2, "predict": 2, "evaluate": 4, "rf-train": 1, "rf": 4, "compare": 1}
    assert {stage: counts[stage]["done"] for stage in CHAIN} == expected, chained.call("hum-slurm", "status")


def test_indexes_tables_and_metrics_equal_those_of_the_local_executor(
    chained: ClusterWorkspace, reference: ClusterWorkspace
) -> None:
    expected = reference.results()
    runs = {
        f"runs/{model}/{tag}/{layer}/index.json"
        for model in MODELS
        for tag in VARIANTS
        for layer in ("evaluation", "postrf")
    }
    assert runs < expected.keys()
    assert chained.results() == expected


def test_the_digest_of_the_image_that_ran_is_in_the_provenance(
    chained: ClusterWorkspace, request: pytest.FixtureRequest
) -> None:
    index = json.loads((chained.root / f"BENCHMARK/runs/a/{VARIANTS[0]}/evaluation/index.json").read_text())
    expected = None
    if 'site = "site.toml"' in (chained.root / "workspace.toml").read_text():
        expected = request.getfixturevalue("images").sums()["evaluator"]
    assert index["meta"]["provenance"]["image_digest"] == expected


def test_every_array_is_recorded_with_what_it_waited_for(chained: ClusterWorkspace) -> None:
    lines = (chained.root / "BENCHMARK/jobs/submissions.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    jobs = {record["script"].rpartition("/")[2]: record["job"] for record in records}
    waits = {record["script"].rpartition("/")[2]: record["dependency"] for record in records}
    assert waits["train_models.sbatch"] == ""
    assert waits["pred_b.batch"] == f"afterok:{jobs['train_models.sbatch']}_1"
    assert waits["eval_a.batch"] == f"afterok:{jobs['pred_a.batch']}"
    assert set(waits["rf_all.batch"].split(",")) >= {
        f"afterok:{jobs['eval_a.batch']}",
        f"afterok:{jobs['rf_train.batch']}",
    }


def test_private_scratch_is_gone(chained: ClusterWorkspace) -> None:
    assert [path.name for path in chained.scratch.iterdir() if path.name.startswith("hum-")] == []


def test_a_chain_that_is_done_is_a_chain_of_no_ops(chained: ClusterWorkspace, reference: ClusterWorkspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in chained.root.glob("BENCHMARK/runs/**/index.json")}
    chained.submit("evaluate", "rf", "--chain")
    chained.finish()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert chained.states("rf") == ["done"] * 4


def test_gpu_stages_run_with_nv_and_say_which_device_they_took(chained: ClusterWorkspace) -> None:
    scripts = {path.name: path.read_text() for path in chained.root.glob("*/jobs/*batch")}
    asked = {name for name, text in scripts.items() if "#SBATCH --gres=gpu:A100:1\n" in text}
    with_nv = {name for name, text in scripts.items() if "    --nv\n" in text}
    with_images = "runtime=(\n    apptainer exec " in scripts["pred_a.batch"]
    assert asked == with_nv == ({"train_models.sbatch", "pred_a.batch", "pred_b.batch"} if with_images else set())
    if shutil.which("nvidia-smi") is None:
        for stage in ("train", "predict"):
            for task in chained.status()[stage]["tasks"]:
                assert " cpu (1 threads), float32" in (chained.root / task["log"]).read_text()
