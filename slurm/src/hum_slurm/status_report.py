"""The report of `hum-slurm status`: what a person reads, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hum_shared.layout import Workspace
from hum_slurm.row_states import STATES, RowState

_N_NAMED = 10


def stage_title(name: str, set_name: str | None) -> str:
    """Return how a stage of a set is called."""
    return name if set_name is None else f"{name} (set {set_name})"


def as_text(stages: Mapping[str, Sequence[RowState]]) -> list[str]:
    """Return a line per stage, then its running tasks and those that need somebody; empty for no stages."""
    width = max((len(title) for title in stages), default=0)
    lines = []
    for title, rows in stages.items():
        counts = Counter(row.state for row in rows)
        shown = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        lines.append(f"{title:<{width}}  {len(rows)} tasks: {shown}")
        lines += _limited(_progress_line(row) for row in rows if row.state == "running")
        lines += _limited(_trouble_line(row) for row in rows if row.state in ("failed", "cancelled", "partial"))
    return lines


def as_json(stages: Mapping[str, Sequence[RowState]], workspace: Workspace, source: str) -> dict[str, Any]:
    """Return the report as a JSON value; paths are relative to the workspace."""
    return {
        "workspace": str(workspace.root),
        "slurm": source or None,
        "stages": {
            title: {
                "counts": {state: sum(row.state == state for row in rows) for state in STATES},
                "tasks": [_task(row, workspace) for row in rows],
            }
            for title, rows in stages.items()
        },
    }


def _task(row: RowState, workspace: Workspace) -> dict[str, Any]:
    return {
        "index": row.row.index,
        "task": row.row.task,
        "state": row.state,
        "exit_code": row.exit_code,
        "reason": row.reason or None,
        "log": None if row.log is None else workspace.relative(row.log),
        "job": row.job or None,
        "slurm_state": None if row.slurm is None else row.slurm.state,
        "progress": None if row.progress is None else row.progress.model_dump(mode="json"),
    }


def _progress_line(row: RowState) -> str:
    progress = row.progress
    if progress is None or progress.state != "running":
        return f"  running   {row.row.task} ({row.job})"
    of_total = f" of {progress.total:,.0f}" if progress.total is not None else ""
    how_far = f"{progress.done:,.0f}{of_total} {progress.unit} {progress.message}".rstrip()
    return f"  running   {row.row.task} ({row.job}): {how_far}"


def _trouble_line(row: RowState) -> str:
    job = f" ({row.job})" if row.job else ""
    log = f"; see {row.log}" if row.log is not None else ""
    return f"  {row.state:<10}{row.row.task}{job}: {row.reason}{log}"


def _limited(lines: Iterable[str]) -> list[str]:
    listed = list(lines)
    more = [f"  and {len(listed) - _N_NAMED} more"] if len(listed) > _N_NAMED else []
    return listed[:_N_NAMED] + more
