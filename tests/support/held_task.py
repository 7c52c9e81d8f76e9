"""A task that is held still until it is told to stop: so the tiniest one is long enough to be interrupted."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from support.cluster_workspace import ClusterWorkspace

_TELLING = (signal.SIGUSR1, signal.SIGTERM)


class HeldTask:
    """A task of a workspace in the middle of its work, stopped (SIGSTOP) until a signal is pending for it.

    Attributes
    ----------
    told
        The signal that ended the hold; None as long as none came.
    after_s
        How long it was held until then.
    """

    def __init__(self, workspace: ClusterWorkspace, stage: str, task: str, program: str, *, for_ever: bool = False):
        self.told: signal.Signals | None = None
        self.after_s = 0.0
        workspace.wait_for(lambda: is_at_work(workspace, stage, task))
        self._process = workspace.cluster.processes(program, workspace.root)[0]
        os.kill(self._process, signal.SIGSTOP)
        if not for_ever:
            threading.Thread(target=self._let_go_when_told, daemon=True).start()

    def _let_go_when_told(self) -> None:
        begun = time.monotonic()
        while self.told is None:
            time.sleep(0.1)
            try:
                pending = _pending(self._process)
            except FileNotFoundError:
                return  # it was killed
            self.told = next((number for number in _TELLING if pending & 1 << (number - 1)), None)
        self.after_s = time.monotonic() - begun
        os.kill(self._process, signal.SIGCONT)


def is_at_work(workspace: ClusterWorkspace, stage: str, task: str) -> bool:
    """Whether a task's progress says that it is in the middle of something; an older run's says that it is done."""
    progress = workspace.progress(stage, task)
    return progress.get("state") == "running" and progress["done"] > 0


def _pending(process: int) -> int:
    """Return the signals that wait for a process, as a set of bits."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("ShdPnd:"):
            return int(line.split()[1], 16)
    return 0
