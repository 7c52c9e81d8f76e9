"""How quickly the status endpoint answers for 10,000 tasks, and what 200 listeners do to it."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row, format_manifest, manifest_digest
from hum_shared.progress import Progress

N_TASKS = 10_000
N_RUNNING = 100
N_LISTENERS = 200
ALLOWED_MS = 200
_N_ASKED = 10
_SERVER = """
import sys
from pathlib import Path
from hum_shared.status.access import listen
from hum_shared.status.app import make_app
from hum_shared.status.server import StatusServer, url
from hum_shared.status.snapshot import WorkspaceSource
sock = listen("127.0.0.1", 0, has_token=False)
print(url(sock), flush=True)
StatusServer(make_app(WorkspaceSource(Path(sys.argv[1])))).run([sock])
"""


def run() -> list[dict[str, float | str]]:
    """Time requests to a server in a process of its own, while 100 tasks keep writing their progress.

    Returns
    -------
    list of dict
        One per kind of request: `ours` is the median of 10 answers in ms, `plain` what is allowed.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_workspace(root, N_TASKS)
        with subprocess.Popen([sys.executable, "-c", _SERVER, folder], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            urllib.request.urlopen(url + "api/stages", timeout=60).close()  # the first look takes longest
            try:
                rows = [_timed(root, url, path) for path in ("api/tasks", "api/tasks?state=running", "api/stages", "")]
                streams = [urllib.request.urlopen(url + "api/events", timeout=60) for _ in range(N_LISTENERS)]
                rows += [_timed(root, url, path, f", {N_LISTENERS} listeners") for path in ("api/tasks", "")]
                for stream in streams:
                    stream.close()
                rows.append(_peak(server.pid))
            finally:
                server.terminate()
    return rows


def make_workspace(root: Path, n_tasks: int) -> None:
    """Write a workspace with one stage: a tenth of its tasks is queued, some run, a fiftieth failed."""
    workspace = Workspace(root)
    jobs = workspace.benchmark().jobs
    jobs.logs.mkdir(parents=True)
    names = [f"model_{i // 100}__len400_hop050_th{i % 100:02d}" for i in range(n_tasks)]
    rows = [
        Row(index=i, stage="evaluate", task=name, command=["hum-evaluator", "run", "eval.cfg"], inputs=[], outputs=[])
        for i, name in enumerate(names)
    ]
    text = format_manifest(rows)
    jobs.manifest("evaluate").write_text(text)
    for row in rows[N_RUNNING : n_tasks * 9 // 10]:
        failed = row.index % 50 == 0
        _write_progress(workspace, row.task, "failed" if failed else "done")
        outcome = {"manifest_sha256": manifest_digest(text), "index": row.index, "exit_code": 2 if failed else 0}
        jobs.outcome("evaluate", row.index).write_text(json.dumps(outcome | {"job": "local"}))
        jobs.log("evaluate", row.task).write_text("error: a.wav: empty\n")
    for path in workspace.progress_root.rglob("*.json"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def _write_progress(workspace: Workspace, task: str, state: str) -> None:
    progress = Progress("evaluate", task, "recordings", 12)
    progress.advance(6 if state == "running" else 12, "387_20201207_cut.wav_900_1800.wav")
    path = workspace.progress_file("evaluate", task)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(progress.snapshot(state).model_dump_json())  # type: ignore[arg-type]
    part.replace(path)


def _timed(root: Path, url: str, path: str, more: str = "") -> dict[str, float | str]:
    workspace = Workspace(root)
    took_ms = []
    for _ in range(_N_ASKED):
        for i in range(N_RUNNING):
            _write_progress(workspace, f"model_{i // 100}__len400_hop050_th{i % 100:02d}", "running")
        time.sleep(1)
        start = time.perf_counter()
        with urllib.request.urlopen(url + path, timeout=60) as answer:
            answer.read()
        took_ms.append(1000 * (time.perf_counter() - start))
    median = statistics.median(took_ms)
    return {
        "name": f"status of {N_TASKS:,} tasks, /{path}{more} (slowest {max(took_ms):.0f} ms)",
        "unit": "ms, median",
        "ours": median,
        "plain": ALLOWED_MS,
        "ratio": ALLOWED_MS / median,
    }


def _peak(pid: int) -> dict[str, float | str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak_kb = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    here_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "name": "memory of the status server",
        "unit": "MB",
        "ours": peak_kb / 1024,
        "plain": here_kb / 1024,
        "ratio": here_kb / peak_kb,
        "peak_mb": peak_kb / 1024,
    }


if __name__ == "__main__":
    for row in run():
        print(row)
