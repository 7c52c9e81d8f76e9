"""A folder that appears whole or not at all, and replaces an older one only then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hum_shared.locks import alone


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends well.

    If the block raises, `target` stays as it was. What a killed run left behind is removed or put back by the next
    one; the hidden names beside `target` are fixed for that.

    Raises
    ------
    MachineError
        When another process is making the same folder.
    OSError
        When the folder above `target` cannot be written.
    """
    new, old = _beside(target)
    with alone(target, target.with_name(f".{target.name}.lock")):
        if old.exists() and not target.exists():  # killed between the two renames below
            old.rename(target)
        _remove(old)
        _remove(new)
        new.mkdir()
        try:
            yield new
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            _remove(new)
            raise
        _remove(old)


def remove_leftovers(target: Path) -> None:
    """Remove what a run left that was killed after its folder had taken its place."""
    if any(folder.exists() for folder in _beside(target)):
        with alone(target, target.with_name(f".{target.name}.lock")):
            for folder in _beside(target):
                _remove(folder)


def _beside(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
