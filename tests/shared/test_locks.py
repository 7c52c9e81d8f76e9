"""One process at a time, however the others end."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hum_shared.errors import MachineError
from hum_shared.locks import LOCK_FILE, alone

_HOLD = """
import sys, time
from pathlib import Path
from hum_shared.locks import alone
with alone(Path(sys.argv[1]).parent, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_has_ended_even_if_it_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "Grün $1" / LOCK_FILE
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(MachineError, match=r"Grün \$1: another process is writing it"), alone(lock.parent, lock):
            pass
        other.kill()
    with alone(lock.parent, lock):
        pass
    assert list(lock.parent.iterdir()) == []


def test_a_failure_frees_what_was_held(tmp_path: Path) -> None:
    lock = tmp_path / LOCK_FILE
    with pytest.raises(RuntimeError), alone(tmp_path, lock):
        raise RuntimeError
    with alone(tmp_path, lock):
        assert lock.exists()


def test_folders_that_were_made_for_a_lock_go_with_it_unless_something_was_written(tmp_path: Path) -> None:
    lock = tmp_path / "a" / "b" / LOCK_FILE
    with alone(lock.parent, lock):
        pass
    assert list(tmp_path.iterdir()) == []
    with alone(lock.parent, lock):
        (lock.parent / "result").touch()
    assert [path.name for path in lock.parent.iterdir()] == ["result"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_where_nothing_can_be_written_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refused)
    with alone(tmp_path, tmp_path / LOCK_FILE):  # a finished run only looks
        assert list(tmp_path.iterdir()) == []


def test_in_a_folder_of_somebody_else_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_a_folder_that_may_only_be_read(
        path: Path, flags: int, mode: int = 0o777, open_file: Callable[..., int] = os.open
    ) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", in_a_folder_that_may_only_be_read)
    with alone(tmp_path, tmp_path / LOCK_FILE):
        assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_somebody_elses_killed_run_left_does_not_stop_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / LOCK_FILE
    lock.touch()

    def as_another_user(path: Path, flags: int, mode: int = 0o777, open_file: Callable[..., int] = os.open) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", as_another_user)
    with alone(tmp_path, lock), pytest.raises(MachineError, match="another process"), alone(tmp_path, lock):
        pass
    assert not lock.exists()
