"""How every row of a stage stands: its files first, then what Slurm says about the job that was to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from hum_shared.errors import InputError, Stopped
from hum_shared.files import read_json
from hum_shared.layout import Jobs, Workspace
from hum_shared.manifest import Row
from hum_shared.outcome import LOCAL
from hum_shared.outcome import Outcome as WrittenOutcome
from hum_shared.progress import TaskProgress, heartbeat, is_lost, time_of
from hum_slurm.batch import ROW_BEGINS, job_name
from hum_slurm.job_states import TaskState
from hum_slurm.progress_files import read_progress
from hum_slurm.queue import Queue
from hum_slurm.submissions import Submission
from hum_slurm.written import WrittenStage

RowStateName = Literal["done", "partial", "failed", "cancelled", "running", "waiting", "open"]
STATES: tuple[RowStateName, ...] = ("done", "partial", "failed", "cancelled", "running", "waiting", "open")

_READ_S = 5.0  # from a task's start to its cfg, and what clocks of two machines may differ by
_COPY_SHOWS_S = 60.0  # a task's last word and the note of its end are seconds apart
_COPYING_S = 600.0  # what a copy of a workspace takes, at most
_DIED = frozenset({"OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"})


@dataclass(frozen=True)
class Outcome:
    """How a row's task ended last, as the batch script or the local executor left it."""

    exit_code: int
    job: str
    recorded_ns: int

    @property
    def is_good(self) -> bool:
        """Whether the row is done, be it that some recordings failed."""
        return self.exit_code in (0, 3)

    def is_later_than(self, submission: Submission | None) -> bool:
        """Whether it tells of a submission or of something after it, rather than of a task before it.

        A task that was killed leaves no outcome; what lies there then is an older one.
        """
        if submission is None:
            return True
        if self.job == LOCAL:
            return self.recorded_ns >= datetime.fromisoformat(submission.submitted_at).timestamp() * 1e9
        return int(self.job.partition("_")[0]) >= submission.job


@dataclass(frozen=True)
class RowState:
    """How a row stands.

    Attributes
    ----------
    row
        The row.
    state
        `open` is neither done nor handed to Slurm; `partial` is done but for recordings that failed.
    exit_code
        Of its last task, where that ended.
    reason
        Why it failed or waits, in one line.
    log
        What its last task printed; None where nothing did.
    job
        Its last task in Slurm, such as ``7_3``; empty without, as while a local run is at it.
    slurm
        What Slurm says about that.
    progress
        The task's own report; None where there is none.
    outcome
        How the last task ended; None where that left no word.
    """

    row: Row
    state: RowStateName
    exit_code: int | None = None
    reason: str = ""
    log: Path | None = None
    job: str = ""
    slurm: TaskState | None = None
    progress: TaskProgress | None = None
    outcome: Outcome | None = None

    @property
    def is_live(self) -> bool:
        """Whether it runs, or Slurm is going to run it."""
        return self.state in ("running", "waiting")


def row_states(
    stage: WrittenStage, submissions: Sequence[Submission], queue: Queue, workspace: Workspace
) -> list[RowState]:
    """Return how each row of a stage stands, in the order of the manifest.

    Parameters
    ----------
    stage
        The stage as it is written.
    submissions
        All of the workspace, oldest first; those of other manifests do not count.
    queue
        What Slurm says.
    workspace
        Where files are looked for.
    """
    ours = [one for one in submissions if one.manifest_sha256 == stage.manifest_sha256]
    names = {workspace.relative(array.script): array.job_name for array in stage.arrays}
    return [_row_state(row, stage, ours, names, queue, workspace) for row in stage.rows]


def _row_state(
    row: Row,
    stage: WrittenStage,
    submissions: Sequence[Submission],
    job_names: Mapping[str, str],
    queue: Queue,
    workspace: Workspace,
) -> RowState:
    job, slurm, last, log = "", None, None, stage.jobs.log(row.stage, row.task)
    for submission in submissions:
        index = submission.index_of(row.index)
        if index is not None:
            last, job, slurm = submission, f"{submission.job}_{index}", queue.state(submission.job, index)
            name = job_names.get(submission.script) or job_name(Path(submission.script))
            log = stage.jobs.logs / f"{name}_{job}.out"
    progress = read_progress(workspace, row)
    outcome = read_outcome(stage.jobs, row, stage.manifest_sha256)
    if outcome is not None and not outcome.is_later_than(last):
        outcome = outcome if outcome.is_good and _never_began(progress, slurm) else None
    if outcome is not None and outcome.job == LOCAL:
        log = stage.jobs.log(row.stage, row.task)
    complete = all(workspace.resolve(text).exists() for text in row.outputs)
    rewritten = outcome is not None and _cfg_is_later(row, _read_its_cfg_s(outcome, progress), workspace)
    state, reason = judge(complete=complete, outcome=outcome, slurm=slurm, rewritten=rewritten)
    if slurm is None and _is_at_work(progress, outcome):
        state, reason, log = "running", "", stage.jobs.log(row.stage, row.task)
    if state == "failed" and outcome is not None:
        reason = "; ".join(filter(None, (reason, last_error(log, row.index))))
    return RowState(
        row=row,
        state=state,
        exit_code=None if outcome is None else outcome.exit_code,
        reason=reason,
        log=log if log.is_file() else None,
        job=job,
        slurm=slurm,
        progress=progress,
        outcome=outcome,
    )


def _is_at_work(progress: TaskProgress | None, outcome: Outcome | None) -> bool:
    """Whether a task that Slurm knows nothing of says that it runs, later than the last one ended."""
    if progress is None or progress.state != "running" or is_lost(progress, datetime.now(UTC)):
        return False
    beat = heartbeat(progress)
    return beat is not None and (outcome is None or beat.timestamp() * 1e9 > outcome.recorded_ns)


def _read_its_cfg_s(outcome: Outcome, progress: TaskProgress | None) -> float:
    """Return by when a row's last task had read its cfg, s since the epoch.

    That is soon after it began, by its own word. A file that is far younger than the task's last word is a copy: its
    time says when that was made, of files in any order.
    """
    ended_s = outcome.recorded_ns / 1e9
    beat = None if progress is None else heartbeat(progress)
    if progress is None or beat is None:
        return ended_s
    if ended_s - beat.timestamp() > _COPY_SHOWS_S:
        return ended_s + _COPYING_S
    began = time_of(progress.started)
    return ended_s if began is None else min(ended_s, began.timestamp() + _READ_S)


def _cfg_is_later(row: Row, since_s: float, workspace: Workspace) -> bool:
    """Whether a cfg of a row was written since; factories leave one that says the same alone."""
    cfgs = [path for text in row.inputs if (path := workspace.resolve(text)).suffix == ".cfg" and path.is_file()]
    return any(path.stat().st_mtime_ns / 1e9 > since_s for path in cfgs)


def _never_began(progress: TaskProgress | None, slurm: TaskState | None) -> bool:
    """Whether a task that left no word was cancelled before it began, so that what the one before it did still holds.

    One that Slurm no longer knows may have been killed: running what is done once more does nothing, and a task that
    passes for done is lost.
    """
    return slurm is not None and slurm.state == "CANCELLED" and progress is not None and progress.state == "done"


def judge(
    *, complete: bool, outcome: Outcome | None, slurm: TaskState | None, rewritten: bool = False
) -> tuple[RowStateName, str]:
    """Return a row's state and why.

    Parameters
    ----------
    complete
        Whether all its outputs are there.
    outcome
        How its last task ended; None when that left no word.
    slurm
        What Slurm says about its last task there; None where it does not know it.
    rewritten
        Whether its cfg was written after that task ended.
    """
    if slurm is not None and slurm.is_running:
        return "running", ""
    if slurm is not None and slurm.is_waiting:
        return "waiting", slurm.reason
    if outcome is not None and outcome.is_good:
        if not complete:
            return "open", "its output is gone"
        if rewritten:
            return "open", "its cfg was written since"
        return ("done", "") if outcome.exit_code == 0 else ("partial", "some recordings failed, see failures.json")
    if outcome is not None and outcome.exit_code == Stopped.exit_code:
        if slurm is not None and slurm.state == "FAILED":
            return "failed", "stopped and requeued too often"
        if slurm is not None and slurm.state == "CANCELLED":
            return "cancelled", "its state is saved"
        if slurm is not None and slurm.state == "TIMEOUT":
            return "failed", "TIMEOUT, its state is saved"
        if slurm is not None and slurm.state in _DIED:
            return "failed", slurm.state  # requeued, and then it left no word
        return "open", "stopped; it goes on when it is run again"
    if outcome is not None:
        said = slurm is not None and slurm.state not in ("FAILED", "COMPLETED")
        return "failed", f"exit {outcome.exit_code}" + (f", {slurm.state}" if slurm is not None and said else "")
    if slurm is None or slurm.state == "COMPLETED":
        return "open", ""
    if slurm.state == "CANCELLED":
        return "cancelled", slurm.reason or "by somebody, or since what it waited for failed"
    return "failed", slurm.state


def read_outcome(jobs: Jobs, row: Row, manifest_sha256: str) -> Outcome | None:
    """Return how a row's last task of this manifest ended; None when that is not known."""
    path = jobs.outcome(row.stage, row.index)
    if not path.is_file():
        return None
    try:
        found = WrittenOutcome.model_validate(read_json(path))
    except (InputError, ValidationError):
        return None  # copied half, or by another program: as good as none
    if found.manifest_sha256 != manifest_sha256:
        return None
    return Outcome(found.exit_code, found.job, path.stat().st_mtime_ns)


def last_error(log: Path, row: int) -> str:
    """Return the last line of a row's last attempt that says what went wrong, else its last line; empty without any.

    A log in which no row begins belongs to one row alone.
    """
    if not log.is_file():
        return ""
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    begun = [(place, found[1]) for place, line in enumerate(lines) if (found := ROW_BEGINS.fullmatch(line))]
    if begun:
        first = max((place for place, number in begun if int(number) == row), default=len(lines))
        lines = lines[first + 1 : min((place for place, _ in begun if place > first), default=len(lines))]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1].removeprefix("error: ")
