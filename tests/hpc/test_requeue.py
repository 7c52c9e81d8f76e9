"""A training that is told to stop, by its time limit's signal or by preemption, ends as if it had not been.

A requeued job waits about two minutes, so the trainings are interrupted when the first test asks for them and looked
at by the last tests of the folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.private_cluster import PrivateCluster


@dataclass(frozen=True)
class Interrupted:
    """Two trainings that were stopped in the middle, and the same ones that were not."""

    workspace: ClusterWorkspace
    undisturbed: ClusterWorkspace


@pytest.fixture(scope="module")
def interrupted(cluster: PrivateCluster, reference: ClusterWorkspace) -> Interrupted:
    undisturbed = longer_training(reference.copy_to(cluster.home / "undisturbed"))
    workspace = undisturbed.copy_to(cluster.home / "interrupted")
    workspace.call("hum-slurm", "training")
    workspace.submit("train")
    workspace.wait_for(
        lambda: workspace.progress("train", "a").get("done") and workspace.progress("train", "b").get("done")
    )
    jobs = {task["task"]: task["job"] for task in workspace.status()["train"]["tasks"]}
    # What the time limit's warning does: a signal to the batch shell alone.
    workspace.call("scancel", "--batch", "--signal=USR1", jobs["a"])
    workspace.wait_for(lambda: workspace.states("train")[0] == "waiting")
    workspace.call("sbatch", "--partition=high", "--cpus-per-task=2", "--time=1", "--output=/dev/null", "--wrap=true")
    workspace.wait_for(lambda: workspace.states("train")[1] == "waiting")
    undisturbed.call("hum-slurm", "run", "train", "--executor", "local")
    workspace.finish(400)
    return Interrupted(workspace, undisturbed)


def longer_training(workspace: ClusterWorkspace) -> ClusterWorkspace:
    """Forget the models, and train them for longer."""
    path = workspace.root / "train_variants.json"
    variants = json.loads(path.read_text())
    variants["globals"]["max_train_epochs"] *= 2
    path.write_text(json.dumps(variants))
    workspace.call("rm", "-rf", "TRAINING", "BENCHMARK", "progress")
    workspace.call("hum-slurm", "training")
    return workspace


@pytest.mark.parametrize("model", ["a", "b"])
def test_it_ends_with_the_weights_of_an_uninterrupted_one(interrupted: Interrupted, model: str) -> None:
    assert interrupted.workspace.states("train") == ["done", "done"]
    weights = [
        (one.root / f"TRAINING/runs/models/{model}/models/ANIMAL-SPOT.pk").read_bytes()
        for one in (interrupted.workspace, interrupted.undisturbed)
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("index", "told"), [(0, "error: stopped on SIGUSR1;"), (1, "error: stopped on SIG")])
def test_it_was_stopped_saved_and_resumed(interrupted: Interrupted, index: int, told: str) -> None:
    task = interrupted.workspace.status()["train"]["tasks"][index]
    log = (interrupted.workspace.root / task["log"]).read_text()
    assert log.count(told) == 1
    assert log.count("going on after") == 1
