"""Progress of one task: a small JSON file for machines, a line or a bar for people.

The work only counts; threads of their own show and keep it. So counting costs next to nothing, a slow file
system never holds the work up, and the file's heartbeat goes on while the work is busy with one long step.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hum_shared.command import warn
from hum_shared.errors import HumError, PartialFailure, Stopped
from hum_shared.files import write_text
from hum_shared.progress_display import open_display

TaskState = Literal["queued", "running", "done", "failed"]

HEARTBEAT_S = 20.0
LOST_AFTER_S = 120.0  # six heartbeats: room for a busy file system and for clocks that differ a little
_FILE_INTERVAL_S = 1.0


class TaskProgress(BaseModel):
    """What `progress/<stage>/<task>.json` holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    task: str
    state: TaskState
    done: float = Field(description="how much is done, in `unit`")
    total: float | None = Field(description="how much there is to do, in `unit`; null while unknown")
    unit: str
    rate: float | None = Field(description="`unit` per second since the start, without what was skipped; null if none")
    remaining_s: float | None = Field(default=None, description="seconds left at this rate; null while unknown")
    started: str = Field(description="UTC time, ISO 8601")
    updated: str = Field(description="UTC time, ISO 8601; the heartbeat")
    message: str = ""
    host: str = Field(default="", description="machine the task runs on")
    log: str | None = Field(default=None, description="file its standard error goes to; null for a terminal or a pipe")


def is_lost(progress: TaskProgress, now: datetime) -> bool:
    """Whether a task that says it runs has been silent for so long that it must have died.

    Parameters
    ----------
    progress
        What the task wrote last.
    now
        The time, with its zone. Without a readable heartbeat nothing can be told: False.
    """
    beat = heartbeat(progress)
    return progress.state == "running" and beat is not None and (now - beat).total_seconds() > LOST_AFTER_S


def heartbeat(progress: TaskProgress) -> datetime | None:
    """Return when a task gave its last sign of life; None where that cannot be read."""
    return time_of(progress.updated)


def time_of(text: str) -> datetime | None:
    """Return a time of a progress file, with its zone; None where it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class Progress:
    """Counts how far a task is, and reports it between :meth:`start` and :meth:`finish`.

    To a file: at most once a second while something changes, else every 20 s as a sign of life. To standard
    error: a bar on a terminal, elsewhere a line every 30 s and at the end.

    Parameters
    ----------
    stage, task
        Name the task for people; in the file it has the file's name, which a manifest's tasks are known by.
    unit
        What is counted, for example ``windows`` or ``s of audio``.
    total
        How much there is to do, or None while unknown; may be set later.
    file
        Where to keep the state; None for no file.
    """

    def __init__(self, stage: str, task: str, unit: str, total: float | None = None, file: Path | None = None):
        self.stage, self.task, self.unit, self.total, self.file = stage, task, unit, total, file
        self.done = 0.0
        self.message = ""
        self._end: TaskState = "running"
        self._skipped = 0.0
        self._started = datetime.now(UTC)
        self._start = time.monotonic()
        self._host, self._log = socket.gethostname(), _log_file()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def advance(self, amount: float, message: str = "") -> None:
        """Count `amount` more units as done."""
        self.done += amount
        self.message = message or self.message

    def skip(self, amount: float, message: str = "") -> None:
        """Count `amount` more units as done before: they do not tell how fast the others will be."""
        self._skipped += amount
        self.advance(amount, message)

    def start(self) -> None:
        """Write the first state and report until :meth:`finish`.

        Raises
        ------
        InputError, OSError
            When the file cannot be written. Later a warning is printed once instead: work of hours does not end
            because its progress cannot be kept.
        """
        if self.file is not None:
            self._write("running")
        keepers = [self._show] if self.file is None else [self._show, self._keep]
        self._threads = [threading.Thread(target=keeper, name="progress", daemon=True) for keeper in keepers]
        for thread in self._threads:
            thread.start()

    def finish(self, state: TaskState, message: str = "") -> None:
        """Write the last state; nothing is reported after it."""
        self.message = message or self.message
        self._end = state
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if self.file is not None:
            try:
                self._write(state)
            except (OSError, HumError) as error:
                warn(f"the last progress ({state}) could not be written: {error}")

    def snapshot(self, state: TaskState) -> TaskProgress:
        """Return the present state, with the name that people see."""
        elapsed_s = time.monotonic() - self._start
        done, total = self.done, self.total
        worked = done - self._skipped
        rate = worked / elapsed_s if worked > 0 and elapsed_s > 0 else None
        return TaskProgress(
            stage=self.stage,
            task=self.task,
            state=state,
            done=done,
            total=total,
            unit=self.unit,
            rate=rate,
            remaining_s=(total - done) / rate if rate and total is not None and total > done else None,
            started=self._started.isoformat(timespec="seconds"),
            updated=datetime.now(UTC).isoformat(timespec="seconds"),
            message=self.message,
            host=self._host,
            log=self._log,
        )

    def _show(self) -> None:
        """Show people how far the task is until the end."""
        # The terminal may go away (EIO) while the work goes on: then nobody is left to be shown anything.
        with contextlib.suppress(OSError):
            display = open_display()
            while not self._ended.wait(display.interval_s):
                display.show(self.snapshot("running"))
            display.finish(self.snapshot(self._end))

    def _keep(self) -> None:
        """Keep the file up to date until the end."""
        seen, last_write, warned = self._counted(), time.monotonic(), False
        while self.file is not None and not self._ended.wait(_FILE_INTERVAL_S):
            now = time.monotonic()
            if self._counted() == seen and now - last_write < HEARTBEAT_S:
                continue
            seen, last_write = self._counted(), now
            try:
                self._write("running")
            except (OSError, HumError) as error:
                if not warned:
                    warn(f"progress cannot be written, the work goes on without: {error}")
                warned = True

    def _write(self, state: TaskState) -> None:
        assert self.file is not None
        kept = self.snapshot(state).model_copy(update={"task": self.file.name.removesuffix(".json")})
        write_text(self.file, kept.model_dump_json(indent=2) + "\n")

    def _counted(self) -> tuple[float, float | None, str]:
        return self.done, self.total, self.message


@contextlib.contextmanager
def track(stage: str, task: str, unit: str, total: float | None = None, file: Path | None = None) -> Iterator[Progress]:
    """Yield a :class:`Progress` that ends as `done`, or as `failed` with the error's message.

    Failed recordings leave the task `done`; a stop on a signal leaves it `queued`: it goes on when it is
    started again.
    """
    progress = Progress(stage, task, unit, total, file)
    progress.start()
    try:
        yield progress
    except BaseException as error:
        reason = str(error) if isinstance(error, HumError) else f"{type(error).__name__}: {error}".removesuffix(": ")
        progress.finish(_state_after(error), reason)
        raise
    progress.finish("done")


def _state_after(error: BaseException) -> TaskState:
    if isinstance(error, PartialFailure):
        return "done"
    return "queued" if isinstance(error, Stopped) else "failed"


def _log_file() -> str | None:
    """Return the file that standard error goes to, as a batch job's does."""
    try:
        place = Path("/proc/self/fd/2").readlink()
        return str(place) if place.is_file() else None
    except OSError:  # closed, or no Linux
        return None
