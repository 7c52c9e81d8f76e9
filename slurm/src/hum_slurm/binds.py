"""Which folders outside the workspace the rows of a job touch: what a container must be shown, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row


def read_only_folders(rows: Iterable[Row], workspace: Workspace) -> list[Path]:
    """Return what the rows read outside the workspace, each folder once."""
    return _outside((text for row in rows for text in row.inputs), workspace)


def written_folders(rows: Iterable[Row], workspace: Workspace) -> list[Path]:
    """Return the folders outside the workspace that the rows write to, each once."""
    return sorted({path.parent for path in _outside((text for row in rows for text in row.outputs), workspace)})


def _outside(texts: Iterable[str], workspace: Workspace) -> list[Path]:
    paths = {_before_wildcards(workspace.resolve(text)) for text in texts}
    return sorted(path for path in paths if not path.is_relative_to(workspace.root))


def _before_wildcards(path: Path) -> Path:
    for folder in [*reversed(path.parents), path]:
        if re.search(r"[*?\[]", folder.name):
            return folder.parent
    return path
