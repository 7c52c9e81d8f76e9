"""Batch scripts that lie in a workspace, read back: which rows each runs, and in how many tasks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.errors import InputError
from hum_shared.files import read_text
from hum_shared.layout import Jobs, Workspace
from hum_shared.manifest import Row, manifest_digest, read_manifest
from hum_slurm.batch import job_name
from hum_slurm.stages import STAGE_NAMES, Stage, StageName, factory_command, stage, stage_jobs

_ARRAY = re.compile(r"^#SBATCH --array=0-\d+%(\d+)$", re.M)


@dataclass(frozen=True)
class WrittenArray:
    """One array's script.

    Attributes
    ----------
    script
        Where it lies.
    place
        The workspace it was written for.
    rows
        Its rows, consecutive rows of the manifest.
    rows_per_task
        How many of them each task takes.
    concurrency
        Tasks that run at a time.
    """

    script: Path
    place: str
    rows: Sequence[Row]
    rows_per_task: int
    concurrency: int

    @property
    def indices(self) -> range:
        """The array's indices."""
        return range(-(-len(self.rows) // self.rows_per_task))

    @property
    def job_name(self) -> str:
        """The name its jobs have in Slurm."""
        return job_name(self.script)

    def indices_of(self, rows: Iterable[Row]) -> list[int]:
        """Return the indices of the tasks that run `rows`, sorted."""
        return sorted({(row.index - self.rows[0].index) // self.rows_per_task for row in rows})

    def rows_of(self, index: int) -> Sequence[Row]:
        """Return the rows of one task."""
        return self.rows[index * self.rows_per_task : (index + 1) * self.rows_per_task]


@dataclass(frozen=True)
class WrittenStage:
    """A stage as its factory left it: manifest and arrays, in the order of their rows."""

    stage: Stage
    set_name: str | None
    jobs: Jobs
    manifest_sha256: str
    rows: Sequence[Row]
    arrays: Sequence[WrittenArray]

    @property
    def factory_command(self) -> str:
        """The command that writes it."""
        return factory_command(self.stage.name, self.set_name)


def read_stage(workspace: Workspace, name: StageName, set_name: str | None = None) -> WrittenStage:
    """Read a stage's manifest and the batch scripts that belong to it; those of an older manifest do not.

    Raises
    ------
    InputError
        When there is no manifest, or it or a script cannot be read.
    """
    jobs = stage_jobs(workspace, name, set_name)
    manifest = jobs.manifest(name)
    if not manifest.is_file():
        raise no_tasks(jobs, name, set_name)
    digest = manifest_digest(read_text(manifest))
    rows = read_manifest(manifest, digest)
    texts = {script: read_text(script) for script in [*jobs.root.glob("*.batch"), *jobs.root.glob("*.sbatch")]}
    arrays = [
        parse_script(text, script, rows) for script, text in texts.items() if f"manifest_sha256={digest}\n" in text
    ]
    arrays.sort(key=lambda array: array.rows[0].index)
    return WrittenStage(stage(name), set_name, jobs, digest, rows, arrays)


def is_planned(jobs: Jobs, name: StageName) -> bool:
    """Whether a stage's factory was run in this tree, whatever tasks it found."""
    return any(jobs.manifest(one).is_file() for one in STAGE_NAMES if stage(one).factory == stage(name).factory)


def no_tasks(jobs: Jobs, name: StageName, set_name: str | None) -> InputError:
    """Return the error that says why a stage has no manifest: its factory was not run, or found nothing to do."""
    factory = factory_command(name, set_name)
    if is_planned(jobs, name):
        return InputError(
            f"{name}: nothing to do here, {factory} found no task of it. Leave it out, or run that again."
        )
    return InputError(f"{jobs.manifest(name)}: not there yet. Run {factory} first.")


def written_stages(workspace: Workspace) -> list[WrittenStage]:
    """Return every stage that has a manifest, of the benchmark and then of its sets, in the order of the stages."""
    sets = sorted(folder.name for folder in workspace.sets_root.glob("*/"))
    return [
        read_stage(workspace, name, set_name)
        for set_name in [None, *sets]
        for name in STAGE_NAMES
        if not (name == "train" and set_name is not None)
        and stage_jobs(workspace, name, set_name).manifest(name).is_file()
    ]


def require_submittable(written: WrittenStage, workspace: Workspace) -> None:
    """Check that a stage's scripts cover its manifest and were written for this place.

    Raises
    ------
    InputError
        When they do not; names the factory that writes them.
    """
    again = f"Run {written.factory_command} again."
    if [row for array in written.arrays for row in array.rows] != list(written.rows):
        copies = sorted(
            str(array.script) for array in written.arrays if any(_is_double(array, other) for other in written.arrays)
        )
        if copies:
            raise InputError(f"{' and '.join(copies)} run the same tasks. Remove the copies, and submit again.")
        manifest = written.jobs.manifest(written.stage.name)
        raise InputError(f"{manifest}: the batch scripts beside it do not cover it. {again}")
    for array in written.arrays:
        if Path(array.place).resolve() != workspace.root.resolve():  # either may have been named through a link
            raise InputError(
                f"{array.script}: was written for {array.place}, but the workspace lies at {workspace.root}. {again}"
            )


def _is_double(array: WrittenArray, other: WrittenArray) -> bool:
    return array.script != other.script and array.rows[0].index == other.rows[0].index


def parse_script(text: str, script: Path, rows: Sequence[Row]) -> WrittenArray:
    """Read the text of an array's script.

    Parameters
    ----------
    text, script
        The script and where it lies.
    rows
        All rows of its manifest.

    Raises
    ------
    InputError
        When it is none of ours.
    """
    array = _ARRAY.search(text)
    if array is None:
        raise InputError(f"{script}: no array of hum-slurm. Write the stage again.")
    first, n_rows = int(_value(text, "first_row", script)), int(_value(text, "n_rows", script))
    return WrittenArray(
        script=script,
        place="".join(shlex.split(_value(text, "workspace", script))),
        rows=rows[first : first + n_rows],
        rows_per_task=int(_value(text, "rows_per_task", script)),
        concurrency=int(array[1]),
    )


def _value(text: str, name: str, script: Path) -> str:
    match = re.search(rf"^{name}=(.*)$", text, re.M)
    if match is None:
        raise InputError(f"{script}: no line {name}=. Write the stage again.")
    return match[1]
