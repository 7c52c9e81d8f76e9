"""Become one task of a manifest: `python -m hum_shared.task MANIFEST SHA256 INDEX`.

Batch scripts start this inside the runtime that holds the service, so that no path ever passes a shell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hum_shared.command import run_command
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import InputError
from hum_shared.manifest import read_manifest, runnable_command


def run_task(arguments: Sequence[str]) -> None:
    """Replace this process by the command of a row, in the workspace the manifest belongs to.

    Raises
    ------
    InputError
        When the arguments, the manifest or its digest are wrong, or it has no such row.
    MachineError
        When the row's program is not installed.
    """
    if len(arguments) != 3 or not arguments[2].isdecimal():
        raise InputError("usage: python -m hum_shared.task MANIFEST SHA256 INDEX")
    manifest, index = Path(arguments[0]).absolute(), int(arguments[2])
    rows = read_manifest(manifest, sha256=arguments[1])
    if index >= len(rows):
        raise InputError(f"{manifest}: no row {index}; it has rows 0 to {len(rows) - 1}")
    workspace = workspace_of(manifest)
    command = runnable_command(rows[index], workspace)
    os.chdir(workspace.root)
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(run_command(lambda: run_task(sys.argv[1:])))
