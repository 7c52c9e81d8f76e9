"""The files of one stage: its manifest, a batch script per group of rows, and the launcher that submits them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared.errors import InputError
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
    state: list[str] = field(default_factory=list)


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
        When two rows name one task, or an array's script would be the launcher.
    """
    if launcher is not None and launcher in groups:
        raise InputError(
            f"{jobs.root / launcher}: would be the script of one array and the launcher of all. Give what it is named "
            f"after, {Path(launcher).stem.partition('_')[2]!r}, another name."
        )
    settings = context.site.filled(settings or context.site.job(stage.name), stage.name)
    rows: list[Row] = []
    arrays: dict[str, list[Row]] = {}
    for name, tasks in groups.items():
        arrays[name] = [_row(stage, len(rows) + position, task) for position, task in enumerate(tasks)]
        rows += arrays[name]
    text = format_manifest(rows)
    plan.files[jobs.manifest(stage.name)] = text
    at_a_time = concurrency or settings.concurrency or default_concurrency
    groups_of_rows = {name: (array_rows, at_a_time) for name, array_rows in arrays.items()}
    plan_scripts(plan, context, stage, jobs, groups_of_rows, settings, manifest_digest(text), launcher)


def plan_scripts(
    plan: Plan,
    context: Context,
    stage: Stage,
    jobs: Jobs,
    arrays: Mapping[str, tuple[Sequence[Row], int]],
    settings: JobSettings,
    manifest_sha256: str,
    launcher: str | None,
) -> None:
    """Add the batch scripts of a manifest to a plan.

    Parameters
    ----------
    plan, context, stage, jobs
        Where they go.
    arrays
        Name of a batch script → its rows and how many of its tasks run at a time.
    settings
        What the jobs ask for.
    manifest_sha256
        The digest of the manifest.
    launcher
        Name of the script that submits all; None for none.
    """
    plan.folders.append(jobs.logs)
    max_array_size = context.max_array_size()
    for name, (rows, concurrency) in arrays.items():
        job = ArrayJob(
            stage=stage,
            script=jobs.root / name,
            manifest=jobs.manifest(stage.name),
            manifest_sha256=manifest_sha256,
            rows=rows,
            concurrency=concurrency,
            max_array_size=max_array_size,
        )
        plan.files[job.script] = array_script(
            job, context.workspace, jobs, context.site.file, settings, environment=Path(sys.prefix)
        )
    if launcher is not None:
        scripts = [jobs.root / name for name in arrays]
        plan.files[jobs.root / launcher] = launcher_script(stage, scripts, settings, context.workspace, jobs)


def _row(stage: Stage, index: int, task: Task) -> Row:
    return Row(
        index=index,
        stage=stage.name,
        task=task.name,
        command=[*task.command, "--progress-file", f"progress/{stage.name}/{task.name}.json"],
        inputs=task.inputs,
        outputs=task.outputs,
        state=task.state,
    )
