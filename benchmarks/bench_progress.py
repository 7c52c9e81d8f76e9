"""What keeping progress costs a task, beside the half percent of its run time that it may cost."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from pathlib import Path

from hum_shared.progress import Progress, track

ALLOWED_PERCENT = 0.5
_N_COUNTED = 1_000_000
_COUNTED_PER_S = 1000


def run(seconds: float = 15) -> dict[str, float | str]:
    """Measure the CPU time of a task that does nothing but count a thousand times a second.

    Counting is timed by itself, in one go; what the threads that show and keep the progress use is the CPU time
    of a process that sleeps but for them. A difference of two run times would drown in other work on the machine.

    Returns
    -------
    dict
        `ours` is the share of one core in percent, `plain` what is allowed.
    """
    percent = 100 * (_count_s() * _COUNTED_PER_S + _report_share(seconds))
    return {
        "name": "progress of a task, 1000 counts/s, file each second",
        "unit": "% of a core",
        "ours": percent,
        "plain": ALLOWED_PERCENT,
        "ratio": ALLOWED_PERCENT / percent,
    }


def _count_s() -> float:
    """Return the CPU time of counting once, s."""
    progress = Progress("bench", "count", "steps", _N_COUNTED)
    start = time.process_time()
    for _ in range(_N_COUNTED):
        progress.advance(1)
    return (time.process_time() - start) / _N_COUNTED


def _report_share(seconds: float) -> float:
    """Return the share of a core that reporting takes while the file changes every second."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        wall, cpu = time.perf_counter(), time.process_time()
        with track("bench", "report", "steps", 1e9, Path(folder) / "progress.json") as progress:
            while time.perf_counter() < wall + seconds:
                time.sleep(0.2)
                progress.advance(1, "sleeping")
        return (time.process_time() - cpu) / (time.perf_counter() - wall)
