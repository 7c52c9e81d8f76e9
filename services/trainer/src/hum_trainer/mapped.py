"""Arrays that a cache keeps, mapped from disk. Each takes a file handle for as long as it is used."""

from __future__ import annotations

import functools
import resource
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hum_shared.errors import InputError, MachineError


def mapped(path: Path, mode: Literal["r", "c"]) -> NDArray[Any]:
    """Return the array of a file: read only, or with changes that stay in memory.

    Raises
    ------
    InputError
        When the file is broken.
    MachineError
        When the system does not give it, as with too many open files.
    """
    _open_as_many_as_allowed()
    try:
        found: NDArray[Any] = np.load(path, mmap_mode=mode)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: broken cache file ({error}). Delete it.") from None
    except OSError as error:
        raise MachineError(f"{path}: cannot be mapped: {error}") from None
    return found


@functools.cache
def _open_as_many_as_allowed() -> None:
    """Let this process open as many files as the system allows: of a thousand recordings each keeps one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return  # not to be raised here, as on macOS: what cannot be opened is reported where it is
