"""Progress of one task: a small JSON file for machines, a line or a bar for people."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hum_shared.errors import HumError, PartialFailure, Stopped
from hum_shared.files import write_text

TaskState = Literal["queued", "running", "done", "failed"]

_FILE_INTERVAL_S = 1.0
_LINE_INTERVAL_S = 30.0
_BAR_INTERVAL_S = 0.2


class TaskProgress(BaseModel):
    """What `progress/<stage>/<task>.json` holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    task: str
    state: TaskState
    done: float = Field(description="how much is done, in `unit`")
    total: float | None = Field(description="how much there is to do, in `unit`; null while unknown")
    unit: str
    rate: float | None = Field(description="`unit` per second since the start; null before the first")
    started: str = Field(description="UTC time, ISO 8601")
    updated: str = Field(description="UTC time, ISO 8601; the heartbeat")
    message: str = ""


class Progress:
    """Reports how far a task is, to a file at most once a second and to standard error.

    On a terminal a bar is redrawn in place; elsewhere a line is printed every 30 s and at the end.

    Parameters
    ----------
    stage, task
        Name the task; also the file's name.
    unit
        What is counted, for example ``windows`` or ``s of audio``.
    total
        How much there is to do, or None while unknown.
    file
        Where to keep the state; None for no file.
    """

    def __init__(self, stage: str, task: str, unit: str, total: float | None = None, file: Path | None = None):
        self.stage, self.task, self.unit, self.total, self.file = stage, task, unit, total, file
        self.done = 0.0
        self.message = ""
        self._started = datetime.now(UTC)
        self._start = time.monotonic()
        self._next_file = self._next_line = 0.0
        self._terminal = sys.stderr.isatty()
        self._next_line = 0.0 if self._terminal else self._start + _LINE_INTERVAL_S

    def advance(self, amount: float, message: str = "") -> None:
        """Count `amount` more units as done."""
        self.done += amount
        self.message = message or self.message
        now = time.monotonic()
        if now >= self._next_file:
            self._next_file = now + _FILE_INTERVAL_S
            self._write("running")
        if now >= self._next_line:
            self._next_line = now + (_BAR_INTERVAL_S if self._terminal else _LINE_INTERVAL_S)
            self._print()

    def finish(self, state: TaskState, message: str = "") -> None:
        """Write the last state; nothing is reported after it."""
        self.message = message or self.message
        self._write(state)
        self._print()
        if self._terminal:
            print(file=sys.stderr)

    def snapshot(self, state: TaskState) -> TaskProgress:
        """Return the present state as it goes into the file."""
        elapsed = time.monotonic() - self._start
        return TaskProgress(
            stage=self.stage,
            task=self.task,
            state=state,
            done=self.done,
            total=self.total,
            unit=self.unit,
            rate=self.done / elapsed if self.done and elapsed > 0 else None,
            started=self._started.isoformat(timespec="seconds"),
            updated=datetime.now(UTC).isoformat(timespec="seconds"),
            message=self.message,
        )

    def _write(self, state: TaskState) -> None:
        if self.file is not None:
            write_text(self.file, self.snapshot(state).model_dump_json(indent=2) + "\n")

    def _print(self) -> None:
        seen = self.snapshot("running")
        of_total = f"/{self.total:,.0f}" if self.total is not None else ""
        rate = f", {seen.rate:,.1f}/s" if seen.rate else ""
        left = ""
        if seen.rate and self.total is not None and self.total > self.done:
            left = f", {_clock((self.total - self.done) / seen.rate)} left"
        share = ""
        if self._terminal and self.total:
            filled = int(24 * min(1.0, self.done / self.total))
            share = "[" + "#" * filled + "." * (24 - filled) + "] "
        line = f"{self.stage} {self.task}: {share}{self.done:,.0f}{of_total} {self.unit}{rate}{left} {self.message}"
        print("\r\x1b[K" + line if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()


@contextlib.contextmanager
def track(stage: str, task: str, unit: str, total: float | None = None, file: Path | None = None) -> Iterator[Progress]:
    """Yield a :class:`Progress` that ends as `done`, or as `failed` with the error's message.

    Failed recordings leave the task `done`; a stop on a signal leaves it `queued`: it goes on when it is
    started again.
    """
    progress = Progress(stage, task, unit, total, file)
    progress.advance(0)
    try:
        yield progress
    except BaseException as error:
        reason = str(error) if isinstance(error, HumError) else f"{type(error).__name__}: {error}".removesuffix(": ")
        # A full disk may be what failed: the first error must stay the one that is seen.
        with contextlib.suppress(OSError, HumError):
            progress.finish(_state_after(error), reason)
        raise
    progress.finish("done")


def _state_after(error: BaseException) -> TaskState:
    if isinstance(error, PartialFailure):
        return "done"
    return "queued" if isinstance(error, Stopped) else "failed"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
