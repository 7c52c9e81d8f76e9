"""A training that is told to stop, by its time limit's warning or by preemption, ends as if it had not been.

Slurm takes minutes for this: the trainings are interrupted before the first test of the folder, see `conftest.py`.
"""

from __future__ import annotations

import signal

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.interrupted_trainings import LEAD_S, LIMIT_S, Interrupted


def weights(workspace: ClusterWorkspace, model: str) -> bytes:
    return (workspace.root / f"TRAINING/runs/models/{model}/models/ANIMAL-SPOT.pk").read_bytes()


@pytest.mark.parametrize(("which", "model"), [("limited", "a"), ("preempted", "b")])
def test_it_was_stopped_saved_and_resumed_and_ends_with_the_weights_of_an_uninterrupted_one(
    interrupted: Interrupted, reference: ClusterWorkspace, which: str, model: str
) -> None:
    workspace: ClusterWorkspace = getattr(interrupted, which)
    workspace.finish(400)
    (task,) = workspace.status()["train"]["tasks"]
    log = (workspace.root / task["log"]).read_text()
    assert task["state"] == "done", log
    assert log.count("error: stopped on SIG") == 1, log
    assert log.count("going on after") == 1, log
    assert weights(workspace, model) == weights(reference, model)


def test_the_time_limits_warning_reached_it_before_the_limit(interrupted: Interrupted) -> None:
    interrupted.limited.finish(400)
    assert interrupted.limit.told == signal.SIGUSR1
    # It can come a minute early, and the task had begun to work before it was held.
    assert LIMIT_S - LEAD_S - 90 < interrupted.limit.after_s < LIMIT_S - LEAD_S + 30


def test_preemption_told_it_before_it_took_its_place(interrupted: Interrupted) -> None:
    assert interrupted.preemption.told in (signal.SIGUSR1, signal.SIGTERM)


def test_one_that_ran_out_of_time_gets_twice_the_time(interrupted: Interrupted, reference: ClusterWorkspace) -> None:
    workspace = interrupted.overrun
    workspace.finish(150)
    (task,) = workspace.status()["train"]["tasks"]
    assert task["state"] == "failed"
    assert task["reason"].startswith("TIMEOUT")
    assert "--time=2 " in workspace.call("hum-slurm", "retry-failed", "train", "--dry-run")
    workspace.call("hum-slurm", "retry-failed", "train")
    workspace.finish(150)
    assert workspace.states("train") == ["done"]
    assert weights(workspace, "a") == weights(reference, "a")
