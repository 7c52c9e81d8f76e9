"""Workspaces, sites and stand-in commands for the tests of hum_slurm."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hum_shared.layout import Jobs
from hum_shared.manifest import Row, format_manifest, manifest_digest

HOSTILE = """it's a "work" space, 50% $HOME ü.v1"""

STAND_IN = """\
#!{python}
import json, os, signal, sys, time
from hum_shared.command import run_command
run_command(lambda: None)
code, *rest = sys.argv[1:]
progress = rest[rest.index("--progress-file") + 1] if "--progress-file" in rest else None
print("ran in", os.getcwd(), "threads", os.environ.get("OMP_NUM_THREADS"), flush=True)
with open("calls.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if progress:
    os.makedirs(os.path.dirname(progress), exist_ok=True)
    message = "nothing to do: all is there" if code == "noop" else ""
    state = dict(stage="s", task="t", state="done", done=1, total=1, unit="files", rate=None, started="", updated="")
    json.dump(dict(state, message=message), open(progress, "w"))
if code in ("listen", "deaf"):
    def told(number, frame):
        open("told", "a").write(signal.Signals(number).name)
        if code == "listen":
            sys.exit(75)
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGUSR1, told)
    open("ready", "w").close()
    time.sleep(60)
if code not in ("noop", "0"):
    print("error: it ended", code, file=sys.stderr)
sys.exit(0 if code == "noop" else int(code))
"""


def executable(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def stand_in_path(folder: Path) -> str:
    """Return a PATH that holds `stand-in CODE …`: it ends with CODE, or does what a word there says."""
    executable(folder / "stand-in", STAND_IN.replace("{python}", sys.executable))
    return f"{folder}:{os.environ['PATH']}"


def stand_in_rows(*endings: str, stage: str = "evaluate") -> list[Row]:
    """Return one row per ending of the stand-in command."""
    return [
        Row(
            index=index,
            stage=stage,
            task=f"task {index}",
            command=["stand-in", ending, "--progress-file", f"progress/{stage}/task {index}.json"],
            inputs=[],
            outputs=[],
        )
        for index, ending in enumerate(endings)
    ]


def write_manifest(jobs: Jobs, rows: Sequence[Row]) -> str:
    """Write the manifest of the rows' stage and return its digest."""
    text = format_manifest(rows)
    jobs.logs.mkdir(parents=True, exist_ok=True)
    jobs.manifest(rows[0].stage).write_text(text)
    return manifest_digest(text)


def make_workspace(root: Path, *datasets: str, corpus: bool = True) -> Path:
    """Make a workspace folder with datasets in `data/train` and a benchmark corpus in `data/bench`."""
    for dataset in datasets:
        (root / "data" / "train" / dataset).mkdir(parents=True)
    if corpus:
        (root / "data" / "bench" / "labelled_recordings").mkdir(parents=True)
        (root / "data" / "bench" / "corpus_index.json").write_text('{"entries": []}')
    return root


def write_json(path: Path, value: Any) -> Path:
    """Write JSON and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def read_rows(manifest: Path) -> list[dict[str, Any]]:
    """Return the rows of a manifest as plain dicts."""
    return [json.loads(line) for line in manifest.read_text().splitlines()]
