"""The stages that are run from a manifest: their names, what runs them and where their jobs lie."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from hum_shared.errors import InputError
from hum_shared.layout import Jobs, Workspace

StageName = Literal["train", "predict", "tune", "rf-train", "evaluate", "rf", "cutouts", "compare"]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes
    ----------
    name
        As on the command line.
    service
        The service that runs its tasks: also the name of its image.
    factory
        The `hum-slurm` command that writes its manifest.
    """

    name: StageName
    service: str
    factory: str


_ALL: dict[StageName, Stage] = {
    stage.name: stage
    for stage in (
        Stage("train", "trainer", "training"),
        Stage("predict", "predictor", "benchmark"),
        Stage("tune", "evaluator", "benchmark"),
        Stage("rf-train", "rf_filter", "benchmark"),
        Stage("evaluate", "evaluator", "evaluation"),
        Stage("rf", "rf_filter", "rf"),
        Stage("cutouts", "evaluator", "cutouts"),
        Stage("compare", "evaluator", "benchmark"),
    )
}


STAGE_NAMES: tuple[StageName, ...] = tuple(_ALL)


def known_stage(text: str) -> StageName:
    """Return `text` as the name of a stage.

    Raises
    ------
    InputError
        When there is no such stage; lists them.
    """
    for name in STAGE_NAMES:
        if name == text:
            return name
    raise InputError(f"no stage {text!r}; the stages are {', '.join(STAGE_NAMES)}")


def stage(name: StageName) -> Stage:
    """Return the stage called `name`."""
    return _ALL[name]


def factory_command(name: StageName, set_name: str | None = None) -> str:
    """Return the command that writes a stage of the benchmark or of one of its sets, quoted for a shell."""
    return shlex.join(["hum-slurm", stage(name).factory, *([] if set_name is None else ["--set", set_name])])


def stage_jobs(workspace: Workspace, name: StageName, set_name: str | None = None) -> Jobs:
    """Return the `jobs/` folder of a stage, in the main benchmark or in one of its sets.

    Raises
    ------
    InputError
        When a set is named for the training, which has none.
    """
    if name != "train":
        return workspace.benchmark(set_name).jobs
    if set_name is not None:
        raise InputError(f"train has no sets (--set {set_name}); leave --set out")
    return workspace.training_jobs
