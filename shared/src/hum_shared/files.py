"""Files that appear whole or not at all, and digests that say whether two are the same."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hum_shared.errors import InputError, MachineError, NameFormatError

_CHUNK_BYTES = 1 << 22
_ABANDONED_AFTER_S = 24 * 3600.0
_TEMPORARY = re.compile(r"\..*\.(?P<place>[^.]+)-(?P<pid>\d+)-[a-z0-9_]+\.part(\..*)?", re.S)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it when the block ends well.

    The temporary file is flushed to disk before the rename, so that after a crash `target` holds either
    its old content or the complete new one. If the block raises, the temporary file is removed and
    `target` stays as it was. Missing parent folders are created. What killed processes left behind in the
    folder is removed by the first file that a later process writes there.

    Parameters
    ----------
    target
        The file to write. The temporary name keeps its suffix, since some writers choose a format by it.

    Raises
    ------
    InputError
        When a file stands where a folder is needed, or a folder where the file should be.
    MachineError
        When the folder was removed meanwhile.
    OSError
        When the folder cannot be written (read-only, disk full).
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(
            f"{target.parent}: cannot be a folder, since a file is in the way. Name another one."
        ) from None
    if target.is_dir():
        raise InputError(f"{target}: is a folder, a file is to be written there. Name another one.")
    remove_abandoned(target.parent)
    # The name is cut so that a long recording name plus our affixes stays below the 255-byte limit.
    prefix = f".{target.name.encode()[:120].decode(errors='ignore')}.{_place()}-{os.getpid()}-"
    temporary = target.parent / f"{prefix}{secrets.token_hex(4)}.part{target.suffix}"
    with _naming(target):
        temporary.touch(exist_ok=False)
    try:
        with _naming(target):
            yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        if isinstance(error, OSError) and not target.parent.is_dir():
            raise MachineError(f"{target.parent}: was removed while {target.name} was being written.") from error
        temporary.unlink(missing_ok=True)
        raise


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(target: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically; NaN is refused."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_text(target: Path, text: str) -> None:
    """Add `text` to the end of a file, and wait until it is on disk."""
    with _naming(target), target.open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def remove(file: Path) -> None:
    """Remove a file, where there is one: a folder that may only be read, and holds none, is as it should be."""
    if file.exists():
        file.unlink(missing_ok=True)


@contextmanager
def name_that_fits(recording: str) -> Iterator[None]:
    """Let files that are named after a recording be written; where that makes too long a name, say so of it alone.

    Raises
    ------
    NameFormatError
        Instead of the system's "File name too long".
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise NameFormatError(
            f"{recording}: too long a name for the files that are named after it. Give the recording a shorter one."
        ) from None


def read_text(path: Path) -> str:
    """Read UTF-8 text; a BOM and Windows line ends are accepted.

    Raises
    ------
    InputError
        When the file is missing, a folder, unreadable or not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # universal newlines turn \r\n into \n
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, a file is expected") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
    except PermissionError:
        raise InputError(f"{path}: not readable (permission denied)") from None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        When it cannot be read, is not JSON (names line and column), or a key stands twice in one object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise InputError(f"{path}: {twice!r} stands twice in one object. Rename or remove one.")
        return found

    try:
        return json.loads(read_text(path), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {error.lineno} column {error.colno}: not JSON ({error.msg})") from None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Let an error in writing name the file a person asked for: a full disk names none, others a temporary one."""
    try:
        yield
    except OSError as error:
        no_room = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if (error.filename is None and no_room) or _TEMPORARY.fullmatch(Path(str(error.filename)).name):
            error.filename = str(target)
        raise


@functools.cache  # once per folder and process: listing a folder for every file written to it would be slow
def remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed left of :func:`atomic_path` in a folder."""
    for path in folder.iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found is None:
            continue
        with suppress(FileNotFoundError, PermissionError):  # another process was faster; somebody else's
            here = found["place"] == _place()
            if (here and not _is_running(int(found["pid"]))) or time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                path.unlink()


def _place() -> str:
    """Name this machine and, since containers number their processes anew, its process namespace."""
    host = re.sub(r"[^\w-]", "_", socket.gethostname())[:40]
    try:
        return f"{host}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # no Linux
        return host


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
