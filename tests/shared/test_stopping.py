import signal
import subprocess
import sys

import pytest

from hum_shared.errors import Stopped
from hum_shared.stopping import StopRequest

WORK = """
import sys, time
from hum_shared.command import run_command
from hum_shared.stopping import StopRequest
def work():
    stop = StopRequest().install()
    print("ready", flush=True)
    for _ in range(3000):
        stop.check("epoch 3 is saved")
        time.sleep(0.01)
sys.exit(run_command(work))
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work_at_its_safe_point(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 75
    assert said == f"error: stopped on {number.name}; epoch 3 is saved. Run the same command again to go on.\n"


def test_a_second_ctrl_c_does_not_wait() -> None:
    work = WORK.replace('stop.check("epoch 3 is saved")', 'print("noted" if stop.requested else ".", flush=True)')
    with subprocess.Popen([sys.executable, "-c", work], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        while process.stdout.readline() != "noted\n":
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "error: interrupted; what was finished is kept, run the same command again to go on.\n"


def test_without_a_signal_work_goes_on() -> None:
    stop = StopRequest()
    stop.check("nothing is saved")
    assert not stop.requested


def test_the_error_says_what_is_saved() -> None:
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    assert stop.requested
    with pytest.raises(Stopped, match="stopped on SIGTERM; 5 recordings are done"):
        stop.check("5 recordings are done")
