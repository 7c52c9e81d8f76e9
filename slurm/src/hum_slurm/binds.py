"""Which files and folders the rows of a job touch: what a container must be shown, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row


def read_paths(rows: Iterable[Row], workspace: Workspace) -> list[Path]:
    """Return what the rows read, each once, sorted; of a pattern the folder before its first wildcard."""
    return sorted({_before_wildcards(workspace.resolve(text)) for row in rows for text in row.inputs})


def written_folders(rows: Iterable[Row], workspace: Workspace) -> list[Path]:
    """Return the folders that the rows write to, each once, sorted: those of outputs, state and progress."""
    folders = set[Path]()
    for row in rows:
        folders |= {workspace.resolve(text).parent for text in row.outputs}
        folders |= {workspace.resolve(text) for text in row.state}
        folders.add(workspace.progress_file(row.stage, row.task).parent)
    return sorted(folders)


def _before_wildcards(path: Path) -> Path:
    for folder in [*reversed(path.parents), path]:
        if re.search(r"[*?\[]", folder.name):
            return folder.parent
    return path
