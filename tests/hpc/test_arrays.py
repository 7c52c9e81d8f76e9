"""Arrays at their limits: more rows than MaxArraySize, and two workspaces at a time."""

from __future__ import annotations

import json
import re

from support.cluster_workspace import ClusterWorkspace
from support.private_cluster import PrivateCluster

MAX_ARRAY_SIZE = 11


def test_more_rows_than_max_array_size_share_indices(copied: ClusterWorkspace) -> None:
    thresholds = [round(0.05 * step, 2) for step in range(4, 4 + MAX_ARRAY_SIZE + 2)]
    variants = [{"seq_len": 0.4, "hop": 0.1, "threshold": threshold} for threshold in thresholds]
    (copied.root / "benchmark_variants.json").write_text(json.dumps(variants))
    copied.call(
        "rm", "-rf", "TRAINING/jobs", "TRAINING/cfg/b", "TRAINING/runs/models/b", "BENCHMARK/cfg", "BENCHMARK/jobs"
    )
    copied.call("hum-slurm", "benchmark")
    copied.submit("evaluate")
    copied.finish()
    assert copied.states("evaluate") == ["done"] * len(thresholds)
    (line,) = (copied.root / "BENCHMARK/jobs/submissions.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["n_rows"], record["rows_per_task"], record["indices"]) == (13, 2, "0-6")

    cfg = copied.root / f"BENCHMARK/cfg/a/len400_hop100_th{round(100 * thresholds[4]):02d}/eval.cfg"
    (copied.root / f"BENCHMARK/runs/a/{cfg.parent.name}/evaluation/index.json").unlink()
    said = copied.call("hum-slurm", "retry-failed", "evaluate", "--dry-run")
    assert "--array=2%20" in said
    assert said.rstrip().endswith("eval_a.batch 4)")
    copied.call("hum-slurm", "retry-failed", "evaluate")
    copied.finish()
    assert copied.states("evaluate") == ["done"] * len(thresholds)


def test_rows_that_pair_wait_for_their_like_alone(copied: ClusterWorkspace) -> None:
    variants = [{"seq_len": 0.4, "hop": hop, "threshold": 0.5} for hop in (0.1, 0.2, 0.4)]
    (copied.root / "benchmark_variants.json").write_text(json.dumps(variants))
    copied.call("rm", "-rf", "BENCHMARK/cfg", "BENCHMARK/jobs", "BENCHMARK/scores")
    copied.call("hum-slurm", "benchmark")
    cfg = copied.root / "BENCHMARK/cfg/a/len400_hop200_th50/predict.cfg"
    whole = cfg.read_text()
    cfg.write_text(whole + "no_such_key=1\n")
    assert copied.submit("predict", "evaluate", "--chain", "--dry-run").count('--dependency="aftercorr:${job') == 2
    copied.submit("predict", "evaluate", "--chain")
    copied.finish()
    assert copied.states("predict") == ["done", "failed", "done", "done", "done", "done"]
    assert copied.states("evaluate") == ["done", "cancelled", "done", "done", "done", "done"]

    cfg.write_text(whole)
    for stage in ("predict", "evaluate"):
        copied.call("hum-slurm", "retry-failed", stage)
        copied.finish()
        assert copied.states(stage) == ["done"] * 6


def test_two_workspaces_at_once_do_not_touch_each_other(
    cluster: PrivateCluster, copied: ClusterWorkspace, reference: ClusterWorkspace
) -> None:
    other = copied.copy_to(cluster.home / "other workspace")
    other.call("hum-slurm", "evaluation")
    copied.submit("evaluate")
    other.submit("evaluate")
    mine = {task["job"] for task in copied.status()["evaluate"]["tasks"]}
    theirs = {task["job"] for task in other.status()["evaluate"]["tasks"]}
    assert not mine & theirs
    for workspace in (copied, other):
        workspace.finish()
        assert workspace.states("evaluate") == ["done"] * 4
        assert workspace.results("**/evaluation/index.json") == reference.results("**/evaluation/index.json")


def test_what_runs_already_is_not_submitted_again(copied: ClusterWorkspace) -> None:
    copied.submit("evaluate", "rf", "--chain")
    said = copied.submit("rf", code=2)
    assert "already, as " in said
    copied.cluster.cancel(copied.jobs())


def test_the_launchers_and_the_training_script_work_by_hand(cluster: PrivateCluster, copied: ClusterWorkspace) -> None:
    def jobs_in(said: str) -> list[int]:
        return [int(job) for job in re.findall(r"Submitted batch job (\d+)", said)]

    by_bash = jobs_in(copied.call("bash", "BENCHMARK/jobs/eval_models.batch"))
    training = jobs_in(copied.call("bash", "TRAINING/jobs/train_models.sbatch"))
    launcher = jobs_in(copied.call("sbatch", "BENCHMARK/jobs/pred_models.batch"))
    cluster.wait_for_jobs([*by_bash, *training, *launcher], 120)
    log = next(copied.root.glob("BENCHMARK/jobs/job_logs/hum-predict-launcher_*.out")).read_text()
    by_sbatch = jobs_in(log)
    cluster.wait_for_jobs(by_sbatch, 120)
    assert [len(by_bash), len(training), len(by_sbatch)] == [2, 1, 2]
    for stage in ("train", "predict", "evaluate"):
        assert set(copied.states(stage)) == {"done"}, stage
