"""What is known about a task, put together: its manifest row, its progress file and how it ended."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hum_shared.manifest import Row
from hum_shared.outcome import Outcome
from hum_shared.progress import TaskProgress, is_lost, time_of
from hum_shared.status.views import STAGE_ORDER, STATES, ShownState, StageView, TaskView

EXIT_STATES: dict[int, ShownState] = {0: "done", 3: "partial", 75: "queued"}
_KILLED = {9: "killed (SIGKILL): often out of memory", 15: "ended by SIGTERM: often a time limit"}


@dataclass(frozen=True)
class Evidence:
    """All that the workspace knows about one task; what is None is not there.

    Attributes
    ----------
    stage, task
        Its name.
    row
        Its row in a manifest.
    progress
        What its progress file says.
    outcome
        How it ended, if that belongs to the present manifest.
    outcome_s, progress_s
        When the outcome and the progress file were written, s since the epoch; both by the file server's clock.
    logs
        The folder of the stage's logs.
    last_words
        The last line of its log, where that was worth reading.
    """

    stage: str
    task: str
    row: Row | None = None
    progress: TaskProgress | None = None
    outcome: Outcome | None = None
    outcome_s: float = 0.0
    logs: Path | None = None
    last_words: str = ""
    progress_s: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is news: a task that gave a sign of life after it runs again.

        It did so if both clocks say so: a node's own may be ahead, and copies have times of their own.
        """
        if self.outcome is None or self.progress is None:
            return self.outcome is not None
        if self.progress_s is not None and self.outcome_s >= self.progress_s:
            return True
        updated = time_of(self.progress.updated)
        return updated is None or self.outcome_s >= updated.timestamp()


def state_of(evidence: Evidence, now: datetime) -> ShownState:
    """Return the state to show."""
    if evidence.has_ended and evidence.outcome is not None:
        return EXIT_STATES.get(evidence.outcome.exit_code, "failed")
    if evidence.progress is None:
        return "queued"
    return "lost" if is_lost(evidence.progress, now) else evidence.progress.state


def view(evidence: Evidence, now: datetime) -> TaskView:
    """Return the task as it is shown at a time (with its zone)."""
    state, progress = state_of(evidence, now), evidence.progress
    done = _finite(progress.done) or 0.0 if progress else 0.0
    total = _finite(progress.total) if progress else None
    if state == "done":
        share: float | None = 1.0
    elif total is not None and total > 0:
        share = min(1.0, max(0.0, done / total))
    else:
        share = 0.0 if progress is None else None
    running = state == "running" and progress is not None
    ended = evidence.outcome if evidence.has_ended else None
    return TaskView(
        id=f"{evidence.stage}/{evidence.task}",
        stage=evidence.stage,
        task=evidence.task,
        state=state,
        done=done,
        total=total,
        unit=progress.unit if progress else "",
        share=share,
        rate=_finite(progress.rate) if progress else None,
        remaining_s=_finite(progress.remaining_s) if running and progress else None,
        started=progress.started or None if progress else None,
        updated=progress.updated or None if progress else None,
        message=_message(evidence, state),
        host=progress.host if progress else "",
        exit_code=ended.exit_code if ended else None,
    )


def stage_views(tasks: Iterable[TaskView]) -> list[StageView]:
    """Return one view per stage, in the order the stages run."""
    by_stage: dict[str, list[TaskView]] = {}
    for task in tasks:
        by_stage.setdefault(task.stage, []).append(task)
    return [_stage_view(stage, by_stage[stage]) for stage in sorted(by_stage, key=stage_rank)]


def stage_rank(stage: str) -> tuple[int, str]:
    """Return what sorts stages in the order they run."""
    return (STAGE_ORDER.index(stage) if stage in STAGE_ORDER else len(STAGE_ORDER), stage)


def _stage_view(stage: str, tasks: Sequence[TaskView]) -> StageView:
    counts = Counter(task.state for task in tasks)
    units = {task.unit for task in tasks if task.unit}
    rates = [task.rate for task in tasks if task.state == "running" and task.rate]
    rate = sum(rates) if rates and len(units) == 1 else None
    return StageView(
        stage=stage,
        n_tasks=len(tasks),
        counts={state: counts[state] for state in STATES},
        share=sum(1.0 if task.state == "partial" else task.share or 0.0 for task in tasks) / len(tasks),
        unit=units.pop() if len(units) == 1 else None,
        rate=rate,
        remaining_s=_left(tasks) / rate if rate else None,
    )


def _left(tasks: Sequence[TaskView]) -> float:
    """Return what queued and running tasks have still to do; one of unknown size is taken for an average one."""
    sizes = [task.total for task in tasks if task.total]
    average = sum(sizes) / len(sizes) if sizes else 0.0
    waiting = [task for task in tasks if task.state in ("queued", "running")]
    return sum(max(0.0, (task.total or average) - task.done) for task in waiting)


def _message(evidence: Evidence, state: ShownState) -> str:
    said = evidence.progress.message if evidence.progress else ""
    ended = evidence.outcome if evidence.has_ended else None
    if state == "lost":
        silent = f"silent since {evidence.progress.updated}" if evidence.progress else ""
        return f"{silent}; last: {said}" if said else silent
    if state != "failed" or ended is None or (evidence.progress and evidence.progress.state == "failed" and said):
        return said
    # The task could not say it itself: killed, or it never got as far as its progress.
    code = ended.exit_code
    number = code - 128 if code > 128 else -code
    why = _KILLED.get(number, f"exit code {code}")
    return f"{why}; last line of its log: {evidence.last_words}" if evidence.last_words else why


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
