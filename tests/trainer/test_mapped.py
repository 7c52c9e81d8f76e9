"""Arrays that are mapped from a cache."""

import errno
import resource
from pathlib import Path

import numpy as np
import pytest

from hum_shared.errors import InputError, MachineError
from hum_trainer.mapped import mapped


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b$ü.npy"
    np.save(path, np.arange(5))
    return path


def test_changes_stay_in_memory(file: Path) -> None:
    array = mapped(file, "c")
    array[0] = 7
    assert mapped(file, "r").tolist() == [0, 1, 2, 3, 4]


def test_a_broken_file_is_named(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"ü\.npy: broken cache file .* Delete it\."):
        mapped(file, "r")


@pytest.mark.parametrize("allowed", [True, False])
def test_of_open_files_it_takes_as_many_as_it_may(file: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool) -> None:
    limits = [(10, 20 if allowed else 10)]
    load = np.load

    def loading(path: Path, mmap_mode: str) -> object:
        if limits[-1][0] == 10:
            raise OSError(errno.EMFILE, "Too many open files")
        return load(path, mmap_mode=mmap_mode)

    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, new: limits.append(new))
    monkeypatch.setattr(np, "load", loading)
    if allowed:
        assert mapped(file, "r").tolist() == [0, 1, 2, 3, 4]
    else:
        with pytest.raises(MachineError, match=r"ü\.npy: 10 files are open, and no more are allowed"):
            mapped(file, "r")
    assert limits[-1] == (limits[0][1],) * 2
