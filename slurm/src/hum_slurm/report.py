"""What a local run shows: on a terminal a line per running task, elsewhere a line per event."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hum_shared.manifest import Row
from hum_shared.progress import TaskProgress
from hum_slurm.outcome import Ended

_LINE_INTERVAL_S = 30.0


class Report:
    """Tells a person how a run of rows goes on.

    Parameters
    ----------
    n_rows
        How many rows there are.
    console
        Where to; None for standard output.
    """

    def __init__(self, n_rows: int, console: Console | None = None):
        self._n_rows = n_rows
        self._console = console or Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next_line = time.monotonic() + _LINE_INTERVAL_S

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, row: Row) -> None:
        """Say that a row runs; a terminal shows that anyway."""
        if not self._console.is_terminal:
            self._print(f"{row.stage} {row.task}: started")

    def ended(self, ended: Ended, n_ended: int) -> None:
        """Say how a row ended."""
        line = f"[{n_ended}/{self._n_rows}] {ended.row.stage} {ended.row.task}: {ended.state} in {ended.seconds:.1f} s"
        if ended.reason:
            line += f" (exit {ended.exit_code}): {ended.reason}; see {ended.log}"
        self._print(line)

    def stopping(self, signal_name: str, n_running: int, *, killed: bool) -> None:
        """Say that a signal came and what is done about it."""
        if killed:
            self._print(f"{signal_name} again: {n_running} tasks killed")
        else:
            self._print(f"{signal_name}: {n_running} tasks are told to save and stop; once more kills them")

    def refresh(self, running: Mapping[str, TaskProgress | None]) -> None:
        """Show how far the running tasks are."""
        if self._console.is_terminal:
            lines = [
                Text(_progress_line(task, progress), overflow="ellipsis", no_wrap=True)
                for task, progress in running.items()
            ]
            self._live.update(Group(*lines), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_INTERVAL_S
            for task, progress in running.items():
                self._print(_progress_line(task, progress))

    def _print(self, line: str) -> None:
        self._console.print(line)
        self._console.file.flush()


def _progress_line(task: str, progress: TaskProgress | None) -> str:
    if progress is None:
        return f"{task}: running"
    of_total = f" of {progress.total:,.0f}" if progress.total is not None else ""
    rate = f", {progress.rate:,.1f}/s" if progress.rate else ""
    return f"{task}: {progress.done:,.0f}{of_total} {progress.unit}{rate} {progress.message}".rstrip()
