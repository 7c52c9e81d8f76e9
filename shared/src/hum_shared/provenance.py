"""Where a file came from: code, packages, machine, inputs and time."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

import hum_shared
from hum_shared.files import sha256_file


class Provenance(BaseModel):
    """How a file was made; kept in `meta.provenance`, and only there what differs from run to run."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code_version: str
    git_commit: str | None = Field(description="commit of the checkout or image the code runs from; null outside them")
    image_digest: str | None = Field(description="SHA-256 of the container image; null outside one")
    packages: dict[str, str] = Field(description="versions of the packages that decide the numbers")
    cfg_sha256: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict, description="input name → SHA-256")
    seed: int | None = None
    host: str
    python: str
    created_at: str = Field(description="UTC time, ISO 8601")


def collect(
    packages: Sequence[str],
    *,
    cfg_sha256: str | None = None,
    inputs: Mapping[str, str] | None = None,
    seed: int | None = None,
) -> Provenance:
    """Describe this process.

    Parameters
    ----------
    packages
        Distribution names whose versions matter; those not installed are left out.
    cfg_sha256, inputs, seed
        What the caller knows about its input.
    """
    return Provenance(
        code_version=hum_shared.__version__,
        git_commit=os.environ.get("HUM_GIT_COMMIT") or git_commit(),  # images say which commit they were built from
        image_digest=image_digest(),
        packages={name: found for name in packages if (found := _version(name)) is not None},
        cfg_sha256=cfg_sha256,
        inputs=dict(inputs or {}),
        seed=seed,
        host=socket.gethostname(),
        python=platform.python_version(),
        created_at=utc_now(),
    )


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def image_digest() -> str | None:
    """Return the SHA-256 of the container image this process runs in, or None outside one.

    A file cannot hold its own digest: batch scripts take that of the image they start and pass it in. An image
    started by hand without `--containall` still sees its own file, which Apptainer names.
    """
    told = os.environ.get("HUM_IMAGE_SHA256")
    image = os.environ.get("APPTAINER_CONTAINER")
    if told or image is None or not Path(image).is_file():
        return told or None
    return _digest_of_file(image)


@cache
def git_commit() -> str | None:
    """Return the commit of the checkout this code lies in, or None outside one.

    A checkout that merely surrounds the environment the code is installed in does not count.
    """
    here = Path(__file__)
    try:
        shown = subprocess.run(
            ["git", "-C", str(here.parent), "rev-parse", "HEAD", f"HEAD:./{here.name}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return shown.stdout.split()[0] if shown.returncode == 0 else None


@cache
def _digest_of_file(path: str) -> str:
    return sha256_file(Path(path))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
