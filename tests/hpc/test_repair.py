"""What goes wrong in a task, and how it is repaired: by files, without redoing the rest."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from support.cluster_workspace import ClusterWorkspace
from support.corpora import repeat
from support.held_task import is_at_work
from support.private_cluster import PrivateCluster
from support.tiny_workspace import VARIANTS


def break_cfg(workspace: ClusterWorkspace, model: str, variant: str) -> Path:
    cfg = workspace.root / "BENCHMARK/cfg" / model / variant / "eval.cfg"
    cfg.write_text(cfg.read_text() + "no_such_key=1\n")
    return cfg


def test_an_index_that_ends_2_stops_the_chain_and_is_repaired_alone(
    copied: ClusterWorkspace, reference: ClusterWorkspace
) -> None:
    cfg = break_cfg(copied, "b", VARIANTS[1])
    copied.submit("evaluate", "rf", "--chain")
    copied.finish()
    assert copied.states("evaluate") == ["done", "done", "done", "failed"]
    assert copied.states("rf") == ["cancelled"] * 4
    failed = copied.status()["evaluate"]["tasks"][3]
    assert failed["exit_code"] == 2
    assert "unknown key 'no_such_key'" in failed["reason"]
    assert "unknown key 'no_such_key'" in (copied.root / failed["log"]).read_text()

    refused = copied.call("hum-slurm", "retry-failed", "evaluate", code=2)
    assert "nothing they read has changed" in refused

    before = {path: path.stat().st_mtime_ns for path in copied.root.glob("BENCHMARK/runs/*/*/evaluation/index.json")}
    cfg.write_text(cfg.read_text().replace("no_such_key=1\n", ""))
    said = copied.call("hum-slurm", "retry-failed", "evaluate", "--dry-run")
    assert f"--array=1%20 {copied.root}/BENCHMARK/jobs/eval_b.batch" in said
    copied.call("hum-slurm", "retry-failed", "evaluate")
    copied.finish()
    copied.call("hum-slurm", "retry-failed", "rf")
    copied.finish()
    assert copied.states("evaluate") + copied.states("rf") == ["done"] * 8
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert copied.results("**/index.json", "**/annotations/*.txt") == reference.results(
        "**/index.json", "**/annotations/*.txt"
    )
    assert "nothing to do" in copied.call("hum-slurm", "retry-failed", "evaluate")


def test_a_broken_recording_does_not_stop_the_chain(copied: ClusterWorkspace, reference: ClusterWorkspace) -> None:
    clips = copied.root / "data/benchmark_corpus/labelled_recordings"
    broken = clips / "502_20210304_cut.wav_0_10.wav"
    whole = next(clips.glob("500_*_0_10.wav")).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    copied.cluster.give(clips)
    copied.submit("predict", "evaluate", "--chain")
    copied.finish()
    assert copied.states("predict") == ["partial", "partial"]
    assert copied.states("evaluate") == ["done"] * 4
    failures = json.loads((copied.root / "BENCHMARK/scores/a/len400_hop100/failures.json").read_text())
    assert list(failures) == [broken.name]
    assert copied.results("**/evaluation/index.json") == reference.results("**/evaluation/index.json")

    broken.unlink()
    copied.call("hum-slurm", "retry-failed", "predict")
    copied.finish()
    assert copied.states("predict") == ["done", "done"]


def test_a_task_killed_mid_recording_leaves_no_partial_output(
    cluster: PrivateCluster, copied: ClusterWorkspace, reference: ClusterWorkspace
) -> None:
    scores = copied.root / "BENCHMARK/scores/a/len400_hop100"
    for track in scores.iterdir():
        track.unlink()
    clips = copied.root / "data/benchmark_corpus/labelled_recordings"
    first = sorted(clips.iterdir())[0]
    long = clips / "499_20210301_cut.wav_0_600.wav"
    repeat(first, long, 60)
    cluster.give(clips)
    copied.submit("predict")
    copied.wait_for(lambda: is_at_work(copied, "predict", "a__len400_hop100"))
    os.kill(cluster.processes(f"BENCHMARK/cfg/a/{VARIANTS[0]}/predict.cfg", copied.root)[0], signal.SIGKILL)
    copied.finish()
    assert copied.states("predict")[0] == "failed"
    assert copied.status()["predict"]["tasks"][0]["exit_code"] == 128 + signal.SIGKILL
    assert not [path.name for path in scores.iterdir() if path.suffix == ".parquet" and path.name[0] != "."]

    long.unlink()
    copied.call("hum-slurm", "retry-failed", "predict")
    copied.finish()
    copied.submit("evaluate")
    copied.finish()
    assert copied.states("predict")[0] == "done"
    assert not [path.name for path in scores.iterdir() if path.name[0] == "."]
    ours = "runs/a/*/evaluation/index.json"  # the other model's task has scored the long recording
    assert copied.results(ours) == reference.results(ours)


def test_a_cancelled_task_stays_cancelled_until_it_is_retried(copied: ClusterWorkspace) -> None:
    cfg = copied.root / "BENCHMARK/cfg/a" / VARIANTS[0] / "predict.cfg"
    for track in (copied.root / "BENCHMARK/scores/a/len400_hop100").iterdir():
        track.unlink()
    assert cfg.is_file()
    copied.submit("predict")
    copied.wait_for(lambda: "running" in copied.states("predict"))
    copied.call("scancel", copied.status()["predict"]["tasks"][0]["job"])
    copied.finish()
    assert copied.states("predict")[0] in ("cancelled", "failed")
    copied.call("hum-slurm", "retry-failed", "predict")
    copied.finish()
    assert copied.states("predict") == ["done", "done"]
