"""Arrays that a cache keeps, mapped from disk. Each takes a file handle for as long as it is used.

Tasks may share a cache: files are written aside and moved in, and what two write at a time is the same.
"""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hum_shared.command import warn
from hum_shared.errors import InputError, MachineError

_Kept = TypeVar("_Kept")


def from_cache(path: Path, make: Callable[[Path], object], load: Callable[[Path], _Kept]) -> _Kept:
    """Return what `load` finds in a file of a cache, which `make` writes where it is missing or broken.

    Parameters
    ----------
    load
        Raises InputError when the file is broken.
    """
    if path.exists():
        try:
            return load(path)
        except InputError as error:
            warn(f"{error}; computing it again")
    make(path)
    try:
        return load(path)
    except InputError as error:
        raise InputError(f"{error}, though just written. Is the disk of cache_dir in order?") from None


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
        raise InputError(f"{path}: broken cache file ({error})") from None
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
