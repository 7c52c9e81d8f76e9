"""Arrays that a cache keeps, mapped from disk. Each takes a file handle for as long as it is used."""

from __future__ import annotations

import errno
import resource
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hum_shared.errors import InputError, MachineError


def mapped(path: Path, mode: Literal["r", "c"]) -> NDArray[Any]:
    """Return the array of a file: read only, or with changes that stay in memory.

    Where the process has as many files open as it may, it asks for all that the system allows it.

    Raises
    ------
    InputError
        When the file is broken.
    MachineError
        When the system allows no more open files.
    """
    try:
        try:
            return _load(path, mode)
        except OSError as error:
            if error.errno != errno.EMFILE or not _more_files():
                raise
            return _load(path, mode)
    except OSError as error:
        if error.errno == errno.EMFILE:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            raise MachineError(f"{path}: {limit} files are open, and no more are allowed; raise ulimit -Hn") from None
        raise InputError(f"{path}: broken cache file ({error}). Delete it.") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: broken cache file ({error}). Delete it.") from None


def _load(path: Path, mode: Literal["r", "c"]) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, mmap_mode=mode)
    return found


def _more_files() -> bool:
    """Raise the limit of open files to what the system allows; return whether that is more than before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft != hard
