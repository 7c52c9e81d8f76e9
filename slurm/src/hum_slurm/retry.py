"""Which rows of a stage are worth another try, and with how much memory and time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.errors import Stopped
from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.binds import read_paths
from hum_slurm.durations import parse_megabytes, parse_minutes
from hum_slurm.row_states import RowState
from hum_slurm.site import JobSettings
from hum_slurm.submit import Request
from hum_slurm.written import WrittenStage

_TIME_FACTOR = 2


@dataclass(frozen=True)
class Resources:
    """What a retry asks for instead of what the script says; None leaves that as it is."""

    memory: str | None = None
    time: str | None = None


def kept_back(state: RowState, has_changed: Callable[[Row, int], bool]) -> bool:
    """Whether a row would only end the same way again: it ended 2 or 3 and its inputs are what they were.

    Parameters
    ----------
    state
        How the row stands.
    has_changed
        Says whether an input or cfg of a row has changed since a time (UTC, ns).
    """
    if state.outcome is None or state.outcome.exit_code not in (2, 3) or state.state not in ("failed", "partial"):
        return False
    return not has_changed(state.row, state.outcome.recorded_ns)


def resources_for(state: RowState, settings: JobSettings, max_minutes: int | None) -> Resources:
    """Return what a row asks for next: twice the memory after it ran out of that, twice the time likewise.

    A task that was requeued as often as it may be ran out of time too.

    Parameters
    ----------
    state
        How the row stands; Slurm's word says what it ran out of, and what it had been given.
    settings
        What the stage asks for, where Slurm does not say what was given.
    max_minutes
        The partition's limit; None without.
    """
    slurm = state.slurm
    if slurm is None:
        return Resources()
    if slurm.state == "OUT_OF_MEMORY":
        given = slurm.memory_mb or parse_megabytes(settings.memory or "")
        return Resources(memory=None if given is None else f"{2 * given}M")
    if slurm.state == "TIMEOUT" or (slurm.state == "FAILED" and state.exit_code == Stopped.exit_code):
        minutes = slurm.limit_minutes or parse_minutes(settings.time or "")
        if minutes is None:
            return Resources()
        longer = _TIME_FACTOR * minutes
        return Resources(time=str(longer if max_minutes is None else max(minutes, min(longer, max_minutes))))
    return Resources()


def retry_requests(
    stage: WrittenStage, chosen: Sequence[RowState], settings: JobSettings, max_minutes: int | None
) -> list[Request]:
    """Return the requests that run the chosen rows again: one per array and amount of memory and time."""
    by_index = {state.row.index: state for state in chosen}
    out = []
    for array in stage.arrays:
        groups: dict[Resources, list[Row]] = defaultdict(list)
        for row in array.rows:
            if row.index in by_index:
                groups[resources_for(by_index[row.index], settings, max_minutes)].append(row)
        for resources, rows in groups.items():
            indices = tuple(array.indices_of(rows))
            whole = sum(len(array.rows_of(index)) for index in indices) == len(rows)
            out.append(
                Request(
                    stage,
                    array,
                    indices=indices,
                    only_rows=() if whole else tuple(row.index for row in rows),
                    memory=resources.memory,
                    time=resources.time,
                )
            )
    return out


def changed_since(row: Row, since_ns: int, workspace: Workspace) -> bool:
    """Whether anything that a row reads has changed after `since_ns` (UTC, ns); looks at the files."""
    return any(_newest_ns(path) > since_ns for path in read_paths([row], workspace))


def _newest_ns(path: Path) -> int:
    """Return when a file, or anything in a folder, was last changed; 0 when nothing is there.

    The change of the inode counts: a file that was moved or copied here may carry an old time of modification.
    """
    if not path.exists():
        return 0
    newest = path.stat().st_ctime_ns
    if path.is_dir():
        for entry in path.rglob("*"):
            if entry.exists():  # no broken link
                newest = max(newest, entry.stat().st_ctime_ns)
    return newest
