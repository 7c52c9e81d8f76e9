"""Manifests: JSON lines that say what the tasks of a stage run, read and write.

A manifest is never changed in place: one with other content replaces it whole, and whoever started a task
from the old one is told so, since every task names the digest of the manifest it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.errors import InputError, MachineError
from hum_shared.files import read_text
from hum_shared.layout import Workspace


class Row(BaseModel):
    """One task. Paths are relative to the workspace, or ``{root}/…`` below a named root, or absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    index: int = Field(ge=0, description="the row's place in the manifest, from 0")
    stage: str
    task: str = Field(min_length=1, description="names the task within its stage; also its progress file")
    command: list[str] = Field(min_length=1, description="command and arguments; run in the workspace")
    outputs: list[str] = Field(description="what the task writes; all there once it is complete")
    inputs: list[str] = Field(description="what the task reads")
    state: list[str] = Field(default_factory=list, description="folders it writes besides: checkpoints, logs")


def format_manifest(rows: Sequence[Row]) -> str:
    """Return the text of a manifest.

    Raises
    ------
    InputError
        When two rows name one task.
    """
    twice = [task for task, count in Counter(row.task for row in rows).items() if count > 1]
    if twice:
        raise InputError(f"two tasks would be called {twice[0]!r}; give models and sets names that differ")
    return "".join(json.dumps(row.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n" for row in rows)


def manifest_digest(text: str) -> str:
    """Return the SHA-256 of a manifest's text: its identity."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path, sha256: str | None = None) -> list[Row]:
    """Read a manifest.

    Parameters
    ----------
    path
        The manifest.
    sha256
        The digest it must have; None takes any.

    Raises
    ------
    InputError
        When it cannot be read, is not a manifest, or is another one than `sha256` says.
    """
    text = read_text(path)
    if sha256 is not None and manifest_digest(text) != sha256:
        raise InputError(f"{path}: has changed since this task was submitted. Submit the stage again.")
    return parse_manifest(text, path)


def parse_manifest(text: str, path: Path) -> list[Row]:
    """Return the rows in the text of a manifest; `path` is only named in errors.

    Raises
    ------
    InputError
        When it is not a manifest.
    """
    rows = []
    for number, line in enumerate(filter(None, text.split("\n")), start=1):
        try:
            row = Row.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise InputError(f"{path} line {number}: {where}: {first['msg']}. Write the stage again.") from None
        if row.index != number - 1:
            raise InputError(f"{path} line {number}: index {row.index}, expected {number - 1}. Write the stage again.")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no tasks. Write the stage again.")
    return rows


def runnable_command(row: Row, workspace: Workspace) -> list[str]:
    """Return the command of a row as it can be executed: the program found, named roots replaced.

    Programs that lie beside the running Python come first: `.venv/bin` holds every command of the pipeline.

    Raises
    ------
    MachineError
        When the program is not installed.
    InputError
        When an argument names an unknown root.
    """
    program, *arguments = row.command
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise MachineError(f"{program} is neither in {beside.parent} nor on the PATH. Install its package there.")
    return [found, *(workspace.expand(argument) for argument in arguments)]
