"""Progress files of tasks, as the services keep them, read from outside."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_shared.progress import TaskProgress

_NO_OP = "nothing to do"


def progress_path(workspace: Workspace, row: Row) -> Path:
    """Return where a row's task keeps its progress."""
    return workspace.progress_file(row.stage, row.task)


def read_progress(workspace: Workspace, row: Row) -> TaskProgress | None:
    """Return a row's progress; None while there is none, or none that can be read."""
    try:
        return TaskProgress.model_validate_json(progress_path(workspace, row).read_bytes())
    except (OSError, ValidationError):  # not written yet, or by another version: progress is shown, not relied on
        return None


def is_no_op(workspace: Workspace, row: Row, since_ns: int) -> bool:
    """Whether a row's task says that all was done already, in a report no older than `since_ns` (UTC, ns)."""
    path = progress_path(workspace, row)
    if not path.is_file() or path.stat().st_mtime_ns < since_ns:
        return False
    progress = read_progress(workspace, row)
    return progress is not None and progress.message.startswith(_NO_OP)
