"""The files of one stage: its manifest, a batch script per group of rows, and the launcher that submits them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.layout import Jobs
from hum_shared.manifest import Row, format_manifest, manifest_digest
from hum_slurm.batch import ArrayJob, array_script, launcher_script
from hum_slurm.context import Context
from hum_slurm.plan import Plan
from hum_slurm.site import JobSettings
from hum_slurm.stages import Stage


@dataclass(frozen=True)
class Task:
    """A row before its place in the manifest is known; see :class:`~hum_shared.manifest.Row`.

    The command gets its `--progress-file` there.
    """

    name: str
    command: list[str]
    inputs: list[str]
    outputs: list[str]


def plan_arrays(
    plan: Plan,
    context: Context,
    stage: Stage,
    jobs: Jobs,
    groups: Mapping[str, Sequence[Task]],
    *,
    launcher: str | None = None,
    concurrency: int | None = None,
    default_concurrency: int = 10,
    settings: JobSettings | None = None,
) -> None:
    """Add a stage's manifest and batch files to a plan.

    Parameters
    ----------
    plan, context, stage, jobs
        Where they go.
    groups
        Name of a batch script → its tasks; together, in order, they are the rows of the manifest.
    launcher
        Name of the script that submits all; None for a stage with one array.
    concurrency
        Tasks of an array that run at a time, as asked for by a flag; None takes the site's, or else
        `default_concurrency`.
    settings
        What the jobs ask for; None takes the site's.

    Raises
    ------
    CfgError
        When a value of the site is left to be filled in.
    InputError
        When two rows name one task.
    """
    settings = context.site.filled(settings or context.site.job(stage.name), stage.name)
    rows: list[Row] = []
    arrays: dict[str, list[Row]] = {}
    for name, tasks in groups.items():
        arrays[name] = [_row(stage, len(rows) + position, task) for position, task in enumerate(tasks)]
        rows += arrays[name]
    text = format_manifest(rows)
    manifest = jobs.manifest(stage.name)
    plan.folders.append(jobs.logs)
    plan.files[manifest] = text
    for name, array_rows in arrays.items():
        job = ArrayJob(
            stage=stage,
            script=jobs.root / name,
            manifest=manifest,
            manifest_sha256=manifest_digest(text),
            rows=array_rows,
            concurrency=concurrency or settings.concurrency or default_concurrency,
        )
        plan.files[job.script] = array_script(
            job, context.workspace, jobs, context.site.file, settings, environment=Path(sys.prefix)
        )
    if launcher is not None:
        scripts = [jobs.root / name for name in groups]
        plan.files[jobs.root / launcher] = launcher_script(stage, scripts, settings, context.workspace, jobs)


def _row(stage: Stage, index: int, task: Task) -> Row:
    return Row(
        index=index,
        stage=stage.name,
        task=task.name,
        command=[*task.command, "--progress-file", f"progress/{stage.name}/{task.name}.json"],
        inputs=task.inputs,
        outputs=task.outputs,
    )
