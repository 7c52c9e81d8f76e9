"""Reading inside one folder, and nothing outside it, whatever links and names say."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from hum_shared.errors import InputError

_T = TypeVar("_T")
_FRESH_NS = 2_000_000_000  # file systems keep times to a tick, some to a whole second
_BLOCK_BYTES = 1 << 20


class OutsideError(InputError):
    """A link leads out of the folder, or what is there is no plain file."""


class Stamp(NamedTuple):
    """What changes when a file is replaced or written to."""

    mtime_ns: int
    size: int
    inode: int

    @property
    def mtime_s(self) -> float:
        """Seconds since the epoch."""
        return self.mtime_ns / 1e9


@dataclass(frozen=True)
class Listing:
    """What a folder holds: folders by name, and files by name with their stamp."""

    folders: list[str] = field(default_factory=list)
    files: dict[str, Stamp] = field(default_factory=dict)


class Inside:
    """Reads files and folders below `root`; never writes.

    What was opened decides, not what a path looked like before: the kernel is asked where the open file really
    lies, so that a link that is changed meanwhile leads nowhere.

    Parameters
    ----------
    root
        The folder. Links above it and to it are followed, once, here.
    """

    def __init__(self, root: Path):
        self.root = root.resolve()

    def listing(self, folder: Path, suffix: str = "") -> Listing:
        """Return the folders in a folder, and the files whose names end with `suffix`; nothing where there is none.

        Hidden names are left out: those of files that are being written, too.

        Raises
        ------
        OutsideError
            When it lies outside.
        """
        found = Listing()
        try:
            with self._opened(folder, os.O_DIRECTORY) as descriptor, os.scandir(descriptor) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not (entry.name.endswith(suffix) or entry.is_dir()):
                        continue
                    try:
                        status = entry.stat()
                    except OSError:  # it vanished meanwhile, or a link leads nowhere
                        continue
                    if stat.S_ISREG(status.st_mode):
                        found.files[entry.name] = Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
                    elif stat.S_ISDIR(status.st_mode):
                        found.folders.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return Listing()
        found.folders.sort()
        return found

    def read(self, path: Path, max_bytes: int) -> bytes:
        """Return the first `max_bytes` of a file.

        Raises
        ------
        OutsideError
            When it lies outside or is no plain file.
        OSError
            When it cannot be read.
        """
        with self._opened(path) as descriptor:
            return _read(descriptor, max_bytes)

    def tail(self, path: Path, max_bytes: int) -> bytes:
        """Return the last `max_bytes` of a file; raises as :meth:`read`."""
        with self._opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            os.lseek(descriptor, max(0, size - max_bytes), os.SEEK_SET)
            return _read(descriptor, max_bytes)

    @contextmanager
    def _opened(self, path: Path, flags: int = 0) -> Iterator[int]:
        # O_NONBLOCK: opening a named pipe must not wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | flags)
        try:
            real = Path(f"/proc/self/fd/{descriptor}").readlink()
            if not real.is_relative_to(self.root):
                raise OutsideError(f"{path}: leads out of {self.root} and is not read")
            if not flags & os.O_DIRECTORY and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OutsideError(f"{path}: is no plain file and is not read")
            yield descriptor
        finally:
            os.close(descriptor)


class Parsed(Generic[_T]):
    """What the files of folders say, read again when their stamp changes.

    A file that changed less than two seconds before it was read may change again without a new stamp, so it is
    not trusted. One that cannot be read or parsed any more keeps what it said last: it is being written.

    Parameters
    ----------
    read
        Gives what a file says.
    expected
        Errors of `read`, besides OSError and InputError, that mean: not now.
    """

    def __init__(self, read: Callable[[Path], _T], *expected: type[Exception]):
        self._read = read
        self._expected: tuple[type[Exception], ...] = (OSError, InputError, *expected)
        self._kept: dict[Path, dict[str, tuple[Stamp, int, _T | None, str]]] = {}

    def get(self, folder: Path, files: Mapping[str, Stamp]) -> tuple[dict[str, _T], dict[str, str]]:
        """Return what the files of a folder say, by name, and what is wrong with some of them.

        The same object as before comes back as long as a file says the same. What is not in `files` is forgotten.
        """
        before = self._kept.get(folder, {})
        now: dict[str, tuple[Stamp, int, _T | None, str]] = {}
        values: dict[str, _T] = {}
        problems: dict[str, str] = {}
        for name, stamp in files.items():
            kept = before.get(name)
            if kept is None or kept[0] != stamp or kept[1] - stamp.mtime_ns <= _FRESH_NS:
                kept = self._parse(folder / name, stamp, kept[2] if kept is not None else None)
            now[name] = kept
            if kept[2] is not None:
                values[name] = kept[2]
            if kept[3]:
                problems[name] = kept[3]
        self._kept[folder] = now
        return values, problems

    def _parse(self, path: Path, stamp: Stamp, before: _T | None) -> tuple[Stamp, int, _T | None, str]:
        now_ns = time.time_ns()
        try:
            value = self._read(path)
        except self._expected as error:
            return stamp, now_ns, before, " ".join(str(error).split())[:300]
        return stamp, now_ns, before if value == before else value, ""


def _read(descriptor: int, max_bytes: int) -> bytes:
    blocks = []
    while max_bytes > 0 and (block := os.read(descriptor, min(max_bytes, _BLOCK_BYTES))):
        blocks.append(block)
        max_bytes -= len(block)
    return b"".join(blocks)
