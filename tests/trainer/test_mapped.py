"""Arrays that are mapped from a cache."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hum_shared.errors import InputError, MachineError
from hum_trainer.mapped import mapped

MANY = """
import resource, sys
from pathlib import Path
from hum_trainer.mapped import mapped
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[2])))
kept = [mapped(Path(sys.argv[1]), "r") for _ in range(100)]
print(len(kept))
"""


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
    for n in (100, 0):
        file.write_bytes(file.read_bytes()[:n])
        with pytest.raises(InputError, match=r"ü\.npy: broken cache file \(.*\)$"):
            mapped(file, "r")


def test_a_file_that_is_not_given_is_no_broken_one(file: Path) -> None:
    with pytest.raises(MachineError, match=r"nowhere\.npy: cannot be mapped: .*No such file"):
        mapped(file.with_name("nowhere.npy"), "r")


@pytest.mark.parametrize("allowed", [256, 64])
def test_of_open_files_it_takes_as_many_as_it_may(file: Path, allowed: int) -> None:
    done = subprocess.run([sys.executable, "-c", MANY, str(file), str(allowed)], capture_output=True, text=True)
    if allowed > 100:
        assert (done.stdout, done.stderr) == ("100\n", "")
    else:
        assert "MachineError" in done.stderr
        assert "Too many open files" in done.stderr
