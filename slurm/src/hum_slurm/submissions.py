"""`submissions.jsonl`: every array that was handed to Slurm, one JSON object per line, never changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.errors import InputError
from hum_shared.files import read_text
from hum_slurm.row_numbers import expanded
from hum_slurm.stages import StageName

_ROOM_BYTES = 65536


class Submission(BaseModel):
    """One call of sbatch."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    submitted_at: str = Field(description="UTC time, ISO 8601")
    job: int = Field(description="Slurm's id of the array")
    stage: StageName
    set_name: str | None = Field(None, alias="set")
    script: str = Field(description="relative to the workspace")
    manifest_sha256: str
    indices: str = Field(description="the array's indices, such as 0-3,7")
    first_row: int = Field(description="the manifest's row that index 0 begins with")
    n_rows: int = Field(description="rows of the whole array")
    rows_per_task: int = 1
    only_rows: str = Field("", description="the rows wanted, such as 2,5-7; empty: all of these indices")
    dependency: str = Field("", description="what it waits for, as sbatch was told")
    memory: str | None = Field(None, description="asked for instead of the script's")
    time: str | None = Field(None, description="asked for instead of the script's")

    def index_of(self, row: int) -> int | None:
        """Return the array index whose task runs a row of the manifest; None when this submission does not."""
        if not self.first_row <= row < self.first_row + self.n_rows:
            return None
        index = (row - self.first_row) // self.rows_per_task
        wanted = not self.only_rows or row in expanded(self.only_rows)
        return index if wanted and index in expanded(self.indices) else None


def require_room(path: Path) -> None:
    """Check that a line can be added to the file, before there is a job whose id would be lost.

    Raises
    ------
    OSError
        When the disk is full or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.open("ab").close()
    with tempfile.TemporaryFile(dir=path.parent) as trial:
        trial.write(bytes(_ROOM_BYTES))
        trial.flush()
        os.fsync(trial.fileno())


def record_submission(path: Path, submission: Submission) -> None:
    """Add a line and flush it to disk: the id of a job that runs must not be lost.

    A line that somebody else left without its end is ended first.

    Raises
    ------
    OSError
        When it cannot be written whole; what was written of it is taken back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = submission.model_dump_json(by_alias=True).encode() + b"\n"
    with path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            line = b"\n" + line
        rest = line
        try:
            while rest:  # a full disk takes a part
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(file.seek(0, os.SEEK_END) - (len(line) - len(rest)))
            raise


def read_submissions(path: Path) -> list[Submission]:
    """Return all submissions, oldest first; none when there is no file.

    Raises
    ------
    InputError
        When a line is no submission; a last line without its end is one that is being written.
    """
    if not path.exists():
        return []
    *lines, _unfinished = read_text(path).split("\n")
    out = []
    for number, line in enumerate(lines, start=1):
        try:
            out.append(Submission.model_validate_json(line))
        except ValidationError:
            raise InputError(f"{path} line {number}: no submission of hum-slurm. Remove the line.") from None
    return out
