"""A workspace whose stages can be submitted to a stand-in for Slurm, and what such tests say and ask there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hum_shared.layout import Workspace
from hum_slurm import cluster
from support.slurm_workspace import HOSTILE, make_workspace, read_rows
from support.stand_in_slurm import stand_in_slurm


class Place:
    """A workspace with two datasets whose `workspace.toml` says all that the factories need, and a Slurm."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        self.root = make_workspace(tmp_path / HOSTILE, "dataset_a", "dataset_b")
        self.slurm = tmp_path / "slurm"
        (self.root / "workspace.toml").write_text(
            'site = "local-test"\ndata_root = "data/train"\nbenchmark_corpus = "data/bench"\n'
        )
        monkeypatch.setenv("PATH", stand_in_slurm(self.slurm))
        self.said: list[str] = []

    def submit(self, *names: Any, chain: bool = True, dry_run: bool = False) -> None:
        """Submit stages."""
        cluster.submit_stages(self.root, names, chain=chain, dry_run=dry_run, say=self.said.append)

    def retry(self, name: Any) -> None:
        """Try again what failed of a stage; `said` is then what that said."""
        self.said.clear()
        cluster.retry_stage(self.root, name, None, dry_run=False, say=self.said.append)

    def status(self) -> dict[str, Any]:
        """Return the stages of `hum-slurm status --json`."""
        self.said.clear()
        cluster.show_status(self.root, json_output=True, say=self.said.append)
        stages: dict[str, Any] = json.loads(self.said[-1])["stages"]
        return stages

    def states(self, stage: str) -> list[str]:
        """Return the state of every task of a stage."""
        return [task["state"] for task in self.status()[stage]["tasks"]]

    def calls(self) -> list[list[str]]:
        """Return the arguments of every call of sbatch that submitted something."""
        log = self.slurm / "sbatch.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def queue(self, *lines: str) -> None:
        """Say what squeue prints about tasks."""
        (self.slurm / "squeue.txt").write_text("".join(f"{line}\n" for line in lines))

    def commands(self, *lines: str) -> None:
        """Say which scripts are in the queue."""
        (self.slurm / "commands.txt").write_text("".join(f"{line}\n" for line in lines))

    def end(self, stage: str, index: int, code: int, job: str, *, outputs: bool = True) -> None:
        """Leave what a task of the batch script leaves."""
        workspace = Workspace(self.root)
        jobs = workspace.training_jobs if stage == "train" else workspace.benchmark().jobs
        row = read_rows(jobs.manifest(stage))[index]
        for text in row["outputs"] if outputs else []:
            path = workspace.resolve(text)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        digest = json.loads((self.root / "BENCHMARK/jobs/submissions.jsonl").read_text().splitlines()[0])
        outcome = {"manifest_sha256": digest["manifest_sha256"], "index": index, "exit_code": code, "job": job}
        jobs.outcome(stage, index).write_text(json.dumps(outcome))
