"""A task whose run is killed outright is told so, whatever its program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hum_shared.command import PARENT_VARIABLE

PROGRAM = """
import ctypes, importlib, sys
module, *sys.argv[1:] = sys.argv[1:]
from hum_shared import command
told = ctypes.c_int()
get_it = lambda: ctypes.CDLL(None).prctl(2, ctypes.byref(told))  # PR_GET_PDEATHSIG
import atexit
atexit.register(lambda: (get_it(), print("signal", told.value)))
sys.exit(importlib.import_module(module).main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
@pytest.mark.parametrize(
    "module", ["hum_trainer.cli", "hum_predictor.cli", "hum_evaluator.__main__", "hum_rf_filter.__main__"]
)
def test_every_program_asks_for_the_signal_and_passes_the_request_on_to_nobody(module: str) -> None:
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-c", PROGRAM, module, "--help"]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines()[-1] == "signal 15"
    other = subprocess.run(
        command, env={**environment, PARENT_VARIABLE: "1"}, capture_output=True, text=True, check=True
    )
    assert other.stdout.splitlines()[-1] == "signal 0"


POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from hum_shared.command import die_with_parent

def work():
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=die_with_parent) as pool:
        pool.submit(work).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
def test_a_worker_of_a_pool_does_not_outlive_a_process_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    with subprocess.Popen([sys.executable, str(tmp_path / "pool.py")], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = Path("/proc") / parent.stdout.readline().strip()
        assert worker.exists()
        parent.kill()
    deadline = time.monotonic() + 20
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()
