"""One process at a time, however the others end."""

import subprocess
import sys
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
