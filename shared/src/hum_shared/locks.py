"""One process at a time at what two would leave mixed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hum_shared.errors import MachineError

LOCK_FILE = ".lock"
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF})
"""What a file system without locks answers: nothing can be told there, and nothing is refused. (EBADF: NFS, of a file
that may only be read.)"""
_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def alone(target: Path, lock: Path) -> Iterator[None]:
    """Keep what is written to this process while the block runs.

    The lock ends with the process, however that ends, and with those that it forks. Its file is removed, also the
    folders that were made for it and hold nothing else. Where nothing can be written nothing is locked: what the block
    then tries to write fails by itself.

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
    """
    made = [folder for folder in lock.parents if not folder.exists()]
    handle: int | None = None
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _held(lock, target)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
    if handle is None:
        yield
        return
    try:
        yield
    finally:
        with suppress(PermissionError):  # of a process of somebody else that was killed, in a folder of theirs
            lock.unlink(missing_ok=True)  # while it is held: who opens it now finds that it is gone
        os.close(handle)
        with suppress(OSError):  # no longer empty, as it should be
            for folder in made:
                folder.rmdir()


def _held(path: Path, target: Path) -> int:
    """Return the handle of a lock file that this process holds."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            if not path.exists():
                raise
            handle = os.open(path, os.O_RDONLY)  # somebody else's, left by a process that was killed
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
