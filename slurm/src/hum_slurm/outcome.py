"""How the rows of a run ended, and what that makes of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hum_shared.errors import HumError, InputError, MachineError, PartialFailure, Stopped
from hum_shared.manifest import Row
from hum_shared.words import listed

State = Literal["done", "skipped", "partial", "failed", "stopped"]


@dataclass(frozen=True)
class Ended:
    """How a row ended.

    Attributes
    ----------
    row
        The row.
    state
        `skipped` is done without anything to do.
    exit_code
        The command's own; negative when a signal killed it.
    seconds
        How long it ran.
    log
        What it printed.
    reason
        The last line it printed, when it did not end well.
    """

    row: Row
    state: State
    exit_code: int
    seconds: float
    log: Path
    reason: str = ""


def state_of(exit_code: int, *, nothing_to_do: bool) -> State:
    """Return the state that an exit code of a service means."""
    states: dict[int, State] = {0: "skipped" if nothing_to_do else "done", 3: "partial", 75: "stopped"}
    return states.get(exit_code, "failed")


def summary(ended: Sequence[Ended], n_rows: int) -> str:
    """Return one line that counts how the rows of a run ended."""
    counts = {state: sum(one.state == state for one in ended) for state in ("done", "failed", "skipped", "partial")}
    line = ", ".join(f"{state} {count}" for state, count in counts.items()) + f" (of {n_rows})"
    n_open = n_rows - sum(counts.values())
    return f"{line}; {n_open} stopped or not started" if n_open else line


def run_failure(ended: Sequence[Ended], n_rows: int) -> HumError | None:
    """Return the error that stands for a whole run, or None when every row is done.

    A run that was stopped goes on when it is started again, whatever else happened; else the worst row counts:
    trouble with the machine or a bug, then bad input, then recordings that failed.
    """
    failed = [one for one in ended if one.state == "failed"]
    reasons = (f"{one.row.task} ended {one.exit_code} ({one.reason or 'no output'}), see {one.log}" for one in failed)
    named = listed(reasons, separator="; ")
    if any(one.state == "stopped" for one in ended) or len(ended) < n_rows:
        return Stopped("stopped; what was finished is kept. Run the same command again to go on.")
    if any(one.exit_code != 2 for one in failed):
        return MachineError(f"{len(failed)} of {n_rows} failed: {named}")
    if failed:
        return InputError(f"{len(failed)} of {n_rows} failed: {named}")
    partial = [one.row.task for one in ended if one.state == "partial"]
    if partial:
        return PartialFailure(f"some recordings failed in {', '.join(partial)}; see their failures.json")
    return None
