"""Workspaces for the tests of the status endpoint, and a server over one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from hum_shared.layout import Jobs, Workspace
from hum_shared.manifest import Row, format_manifest, manifest_digest
from hum_shared.progress import TaskProgress

HOSTILE = """<img src=x onerror="document.title='taken'">&amp; 'ü' $HOME 50% a.b"""


def write_stage(root: Path, stage: str, tasks: Sequence[str], set_name: str | None = None) -> Jobs:
    """Write a stage's manifest with these tasks; return its jobs folder."""
    workspace = Workspace(root)
    jobs = workspace.training_jobs if stage == "train" else workspace.benchmark(set_name).jobs
    rows = [
        Row(index=i, stage=stage, task=task, command=["hum-x", "run", f"{task}.cfg"], inputs=[], outputs=["o"])
        for i, task in enumerate(tasks)
    ]
    jobs.logs.mkdir(parents=True, exist_ok=True)
    jobs.manifest(stage).write_text(format_manifest(rows), encoding="utf-8")
    return jobs


def write_progress(root: Path, stage: str, task: str, state: str = "running", **values: Any) -> Path:
    """Write a task's progress file; `ago_s` makes its heartbeat old."""
    now = datetime.now(UTC)
    ago_s = values.pop("ago_s", 0)
    said = {
        "done": 30,
        "total": 120,
        "unit": "windows",
        "rate": 10.0,
        "remaining_s": 9.0,
        "started": (now - timedelta(hours=1)).isoformat(timespec="seconds"),
        "updated": (now - timedelta(seconds=ago_s)).isoformat(timespec="seconds"),
    }
    progress = TaskProgress.model_validate({"stage": stage, "task": task, "state": state} | said | values)
    path = Workspace(root).progress_file(stage, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}"[:200] + ".part")  # replaced whole, as tasks do
    part.write_text(progress.model_dump_json(), encoding="utf-8")
    part.replace(path)
    return path


def write_outcome(jobs: Jobs, stage: str, index: int, exit_code: int, job: str = "local", digest: str = "") -> Path:
    """Write how a row of the present manifest ended."""
    sha256 = digest or manifest_digest(jobs.manifest(stage).read_text("utf-8"))
    path = jobs.outcome(stage, index)
    path.write_text(json.dumps({"manifest_sha256": sha256, "index": index, "exit_code": exit_code, "job": job}))
    return path


def write_run(root: Path, model: str, variant: str, layer: str = "evaluation", n: int = 3) -> Path:
    """Write the index of a run's layer: one recording of 36 s with `n` selections."""
    path = Workspace(root).benchmark().layer_index(model, variant, layer)
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = {"name": "a.wav", "tape": "a.wav", "offset_s": 0, "dur_s": 36}
    entry = {"uid": 1, "pred_path": "p", "tape": "a.wav", "start_s": 0, "end_s": 1, "dur_s": 1}
    meta = {"schema_version": 1, "generated_at": "2026-01-01T00:00:00+00:00", "n_preds": n, "recordings": [recording]}
    path.write_text(json.dumps({"meta": meta, "entries": [entry] * n}), encoding="utf-8")
    return path


@contextmanager
def status_server(root: Path, token: str | None = None, port: int = 0) -> Iterator[Client]:
    """Serve a workspace on a port of the loopback address, by default a free one, while the block runs."""
    from hum_shared.status.access import listen
    from hum_shared.status.app import make_app
    from hum_shared.status.server import serving, url
    from hum_shared.status.snapshot import WorkspaceSource

    sock = listen("127.0.0.1", port, has_token=False)
    with serving(make_app(WorkspaceSource(root), token), sock):
        yield Client(url(sock).rstrip("/"))


class Client:
    """Asks a server; every answer must come within seconds."""

    def __init__(self, url: str):
        self.url = url

    def open(self, path: str, **headers: str) -> Any:
        """Return the open answer to a GET."""
        return urlopen(Request(self.url + path, headers=headers), timeout=20)

    def text(self, path: str, **headers: str) -> str:
        """Return the text at a path."""
        with self.open(path, **headers) as answer:
            return str(answer.read().decode())

    def refused(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Return the status and the text of an answer that is an error."""
        try:
            with urlopen(Request(self.url + path, headers=headers, method=method), timeout=20):
                raise AssertionError(f"{path} was answered")
        except HTTPError as error:
            with error:
                return error.code, f"{error.headers}{error.read().decode()}"

    def json(self, path: str, **headers: str) -> Any:
        """Return the JSON at a path."""
        return json.loads(self.text(path, **headers))

    def task(self, task_id: str) -> Any:
        """Return the details of a task."""
        return self.json(f"/api/tasks/{quote(task_id)}")
