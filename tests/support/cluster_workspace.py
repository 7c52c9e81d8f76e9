"""A workspace of a private cluster's user: commands run there, waited for, and its results compared."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.private_cluster import PrivateCluster

RESULTS = ("**/index.json", "**/annotations/*.txt", "metrics*.csv")
_DIFFERS = ("provenance", "generated_at", "created_at")


class ClusterWorkspace:
    """A workspace folder that the cluster's user owns.

    Attributes
    ----------
    scratch
        The folder of nodes' scratch, of the jobs that are submitted here alone.
    """

    def __init__(self, cluster: PrivateCluster, root: Path):
        self.cluster, self.root = cluster, root
        self.scratch = cluster.give(Path(tempfile.mkdtemp(dir=cluster.folder / "scratch")))

    def call(self, *command: str | Path, code: int = 0) -> str:
        """Run a command in the workspace as the user, check its exit code and return all that it printed."""
        env = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "TMPDIR": str(self.scratch)}
        done = self.cluster.run(*command, cwd=self.root, env=env)
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout + done.stderr

    def submit(self, *arguments: str, code: int = 0) -> str:
        """Run `hum-slurm submit`."""
        return self.call("hum-slurm", "submit", *arguments, code=code)

    def status(self) -> dict[str, Any]:
        """Return what `hum-slurm status --json` says, by stage."""
        done = self.cluster.run("hum-slurm", "status", "--json", cwd=self.root)
        assert done.returncode == 0, done.stderr
        stages: dict[str, Any] = json.loads(done.stdout)["stages"]
        return stages

    def states(self, stage: str) -> list[str]:
        """Return the state of every task of a stage, in the order of its manifest."""
        return [task["state"] for task in self.status()[stage]["tasks"]]

    def finish(self, timeout_s: float = 240) -> None:
        """Wait until no job that was submitted here is queued or runs."""
        self.cluster.wait_for_jobs(self.jobs(), timeout_s)

    def jobs(self) -> list[int]:
        """Return the ids of the jobs that were submitted here."""
        records = (self.root / "BENCHMARK/jobs/submissions.jsonl").read_text().splitlines()
        return [json.loads(record)["job"] for record in records]

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 120) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"in vain for {timeout_s:.0f} s\n{self.logs()}"
            time.sleep(0.1)

    def progress(self, stage: str, task: str) -> dict[str, Any]:
        """Return a task's progress; empty while there is none."""
        path = self.root / "progress" / stage / f"{task}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def results(self, *patterns: str) -> dict[str, Any]:
        """Return the benchmark's results by path: what may differ from run to run is left out."""
        folder = self.root / "BENCHMARK"
        found = {path for pattern in patterns or RESULTS for path in folder.glob(pattern)}
        return {str(path.relative_to(folder)): _content(path) for path in sorted(found)}

    def copy_to(self, root: Path) -> ClusterWorkspace:
        """Copy everything to another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return ClusterWorkspace(self.cluster, self.cluster.give(root))

    def logs(self) -> str:
        """Return the ends of all job logs, for a failure's message."""
        logs = sorted(self.root.glob("*/jobs/job_logs/*.*"))
        ends = [f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:]) for log in logs]
        queue = self.cluster.run_as_root("squeue", "--array", "--states=all", "--format=%i %j %T %r")
        return "\n".join([*ends[-12:], queue])


def _content(path: Path) -> Any:
    if path.name != "index.json":
        return path.read_bytes()
    value = json.loads(path.read_text())
    value["meta"] = {key: part for key, part in value["meta"].items() if key not in _DIFFERS}
    return value
