"""How progress is shown to people: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hum_shared.progress import TaskProgress

_LINE_INTERVAL_S = 30.0
_BAR_INTERVAL_S = 0.2


class Display(Protocol):
    """Shows the state of one task, again and again."""

    interval_s: float

    def show(self, state: TaskProgress) -> None:
        """Show a state, unless it is too soon for another."""

    def finish(self, state: TaskProgress) -> None:
        """Show the last state."""


def open_display() -> Display:
    """Return what suits standard error: a bar on a terminal, where rich is installed, else lines.

    Every package with a command declares rich; the bare hum_shared does not.
    """
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            return Bar()
    return Lines()


class Lines:
    """A line every 30 s and one at the end, on standard error."""

    interval_s = 1.0

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_INTERVAL_S

    def show(self, state: TaskProgress) -> None:
        """Print a line if the last one is half a minute old."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_INTERVAL_S
            self.finish(state)

    def finish(self, state: TaskProgress) -> None:
        """Print a line; of a task that failed or was stopped how far it came, since the command says why."""
        if state.state in ("failed", "queued"):
            if not state.done:
                return
            state = state.model_copy(update={"message": ""})
        print(f"{state.stage} {state.task}: {describe(state)}", file=sys.stderr, flush=True)


class Bar:
    """A bar that is redrawn in place, on standard error; what the command prints meanwhile goes above it."""

    interval_s = _BAR_INTERVAL_S

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        # A pipe behind standard output must get all of it: only what goes to the terminal is moved above the bar.
        self._rich = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(24),
            TextColumn(
                "{task.fields[said]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
            ),
            console=Console(stderr=True, highlight=False, emoji=False),
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
            expand=True,
        )
        self._task = self._rich.add_task("", total=None, said="")
        self._rich.start()

    def show(self, state: TaskProgress) -> None:
        """Draw the bar."""
        self._rich.update(
            self._task,
            description=f"{state.stage} {state.task}",
            total=state.total,
            completed=state.done,
            said=describe(state),
        )
        self._rich.refresh()

    def finish(self, state: TaskProgress) -> None:
        """Draw the bar a last time and leave it there."""
        self.show(state)
        self._rich.stop()


def describe(state: TaskProgress) -> str:
    """Return how far a task is, in words: `1,000/2,000 windows, 50.0/s, 0:20 left <message>`."""
    of_total = f"/{state.total:,.0f}" if state.total is not None else ""
    rate = f", {state.rate:,.1f}/s" if state.rate else ""
    left = f", {clock(state.remaining_s)} left" if state.remaining_s is not None else ""
    return f"{state.done:,.0f}{of_total} {state.unit}{rate}{left} {state.message}".rstrip()


def clock(seconds: float) -> str:
    """Return a time span as `0:20`, `12:05` or `100:00:00`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
