"""`submissions.jsonl`: every array that was handed to Slurm, one JSON object per line, never changed."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.errors import InputError
from hum_shared.files import read_text
from hum_slurm.row_numbers import expanded
from hum_slurm.stages import StageName


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


def record_submission(path: Path, submission: Submission) -> None:
    """Add a line and flush it to disk: the id of a job that runs must not be lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = submission.model_dump_json(by_alias=True) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


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
