"""Trainings on a cluster that its time limit, a job of a higher partition, or nobody in time tells to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass

from support.cluster_workspace import ClusterWorkspace
from support.held_task import HeldTask
from support.private_cluster import CPUS

LIMIT_S = 180
LEAD_S = 60

_SITE = """\
runtime = "venv"
[job]
time = "{minutes}"
cpus = 1
memory = "2G"
signal_lead_s = {lead_s}
"""


@dataclass(frozen=True)
class Interrupted:
    """Three workspaces with one training each, interrupted in the middle.

    Attributes
    ----------
    limited, limit
        Its time limit's warning came (``#SBATCH --signal``).
    preempted, preemption
        A job of a higher partition took its place.
    overrun
        It did not react to anything until its time was up.
    """

    limited: ClusterWorkspace
    limit: HeldTask
    preempted: ClusterWorkspace
    preemption: HeldTask
    overrun: ClusterWorkspace


def interrupt_trainings(prepared: ClusterWorkspace) -> Interrupted:
    """Start the trainings of copies of a workspace and see to it that they are interrupted; waits for no end."""
    preempted = _start(prepared, "b", "preempted", minutes=10)
    preemption = HeldTask(preempted, "train", "b", "hum-trainer")
    preempted.call(
        "sbatch", "--partition=high", f"--cpus-per-task={CPUS}", "--time=1", "--output=/dev/null", "--wrap=true"
    )
    preempted.wait_for(lambda: preempted.states("train") == ["waiting"])
    limited = _start(prepared, "a", "limited", minutes=LIMIT_S // 60)
    overrun = _start(prepared, "a", "overrun", minutes=1, lead_s=5)
    limit = HeldTask(limited, "train", "a", "hum-trainer")
    HeldTask(overrun, "train", "a", "hum-trainer", for_ever=True)
    return Interrupted(limited, limit, preempted, preemption, overrun)


def _start(
    prepared: ClusterWorkspace, model: str, name: str, *, minutes: int, lead_s: int = LEAD_S
) -> ClusterWorkspace:
    workspace = prepared.copy_to(prepared.root.with_name(name))
    (workspace.root / "site.toml").write_text(_SITE.format(minutes=minutes, lead_s=lead_s))
    settings = workspace.root / "workspace.toml"
    settings.write_text(settings.read_text().replace('"local-test"', '"site.toml"'))
    variants = workspace.root / "train_variants.json"
    variants.write_text(json.dumps({**json.loads(variants.read_text()), "active_variants": [model]}))
    workspace.submit("train")
    return workspace
