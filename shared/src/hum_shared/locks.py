"""One process at a time at what two would leave mixed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hum_shared.errors import MachineError

LOCK_FILE = ".lock"
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system without locks answers: nothing can be told there, and nothing is refused."""


@contextmanager
def alone(target: Path, lock: Path) -> Iterator[None]:
    """Keep what is written to this process while the block runs.

    The lock ends with the process, however that ends. Its file is removed; its folder is made if need be.

    Parameters
    ----------
    target
        What is written; for the message.
    lock
        The lock's file, of a hidden name.

    Raises
    ------
    MachineError
        When another process, on this or another machine, holds it.
    OSError
        When the folder cannot be written.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = _held(lock, target)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held: who opens it now finds that it is gone
        os.close(handle)


def _held(path: Path, target: Path) -> int:
    """Return the handle of a lock file that this process holds."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise MachineError(
                f"{target}: another process is writing it. Wait until that has ended; then run this again."
            ) from None
        except FileNotFoundError:
            pass  # who held it before removed it between opening and locking
        except OSError as error:
            if error.errno in NO_LOCKS:
                return handle
            os.close(handle)
            raise
        os.close(handle)
