"""How a row of a manifest ended last: the file that batch scripts and the local executor leave for each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LOCAL = "local"
"""What stands for the job where a row was run without Slurm."""


class Outcome(BaseModel):
    """How a row ended last, as `job_logs/<stage>_<index>.outcome.json` says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    manifest_sha256: str = Field(description="of the manifest that the row stood in; the outcome is of no other")
    index: int | None = Field(None, description="the row's place in it")
    exit_code: int
    job: str = Field(pattern=rf"^({LOCAL}|[0-9]+_[0-9]+)$", description="<array's job>_<task>, or `local`")
