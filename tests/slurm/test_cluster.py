"""submit and status with stand-ins for Slurm's programs; on a real Slurm: tests/hpc."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hum_shared.errors import InputError, MachineError
from hum_shared.files import write_json
from hum_shared.layout import Workspace
from hum_shared.progress import track
from hum_slurm import cluster
from hum_slurm.context import open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.training import plan_training
from support.full_disk import full_disk
from support.slurm_place import Place
from support.slurm_workspace import read_rows

CHAIN = ("train", "predict", "evaluate", "rf")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_a_chain_is_written_whole_and_each_array_waits_for_what_it_reads(place: Place) -> None:
    place.submit(*CHAIN)
    calls = {Path(call[-1]).name: call for call in place.calls()}
    assert list(calls) == [
        "train_models.sbatch",
        *(f"{stage}_{model}.batch" for stage in ("pred", "eval") for model in ("v1_a", "v2_b")),
        "rf_all.batch",
    ]
    waits = {name: [word for word in call if word.startswith("--dependency")] for name, call in calls.items()}
    assert waits == {
        "train_models.sbatch": [],
        "pred_v1_a.batch": ["--dependency=afterok:100_0"],
        "pred_v2_b.batch": ["--dependency=afterok:100_1"],
        "eval_v1_a.batch": ["--dependency=afterok:101"],
        "eval_v2_b.batch": ["--dependency=afterok:102"],
        "rf_all.batch": ["--dependency=afterok:101,afterok:102,afterok:103,afterok:104"],
    }
    assert all("--kill-on-invalid-dep=yes" in call for name, call in calls.items() if waits[name])


def test_a_dry_run_prints_lines_of_shell_and_submits_nothing(place: Place) -> None:
    place.submit("train", "predict", dry_run=True)
    assert place.calls() == []
    assert not (place.root / "BENCHMARK/jobs/submissions.jsonl").exists()
    lines = [line for line in place.said if line.startswith("job")]
    assert lines[0].startswith("job1=$(sbatch --parsable ")
    assert ' --dependency="afterok:${job1}_1" --kill-on-invalid-dep=yes ' in lines[2]


def test_stages_that_are_not_chained_wait_for_nothing(place: Place) -> None:
    place.submit("train", "predict", chain=False)
    assert not [word for call in place.calls() for word in call if "dependency" in word]


def test_what_a_factory_was_told_by_flags_is_kept(place: Place) -> None:
    plan_training(open_context(place.root)).write()
    plan_benchmark(open_context(place.root), max_concurrent=3).write()
    place.submit("predict")
    assert "%3\n" in (place.root / "BENCHMARK/jobs/pred_v1_a.batch").read_text()
    assert "predict: as written; hum-slurm benchmark writes it anew" in place.said


def test_a_moved_workspace_is_not_submitted(place: Place) -> None:
    place.submit("train", dry_run=True)
    moved = place.root.rename(place.root.with_name("elsewhere"))
    with pytest.raises(InputError, match=r"was written for .*work.* Run hum-slurm training again"):
        cluster.submit_stages(moved, ["train"], chain=False, say=place.said.append)


def test_a_manifest_without_its_scripts_is_not_submitted(place: Place) -> None:
    place.submit("train", dry_run=True)
    (place.root / "TRAINING/jobs/train_models.sbatch").unlink()
    with pytest.raises(InputError, match=r"do not cover it\. Run hum-slurm training again"):
        place.submit("train")


def test_a_copy_of_a_script_is_named(place: Place) -> None:
    place.submit("train", dry_run=True)
    script = place.root / "TRAINING/jobs/train_models.sbatch"
    script.with_name("train_copy.sbatch").write_text(script.read_text())
    with pytest.raises(InputError, match=r"train_copy\.sbatch and .*train_models\.sbatch run the same tasks\. Remove"):
        place.submit("train")


def test_a_workspace_may_be_named_through_a_link(place: Place, tmp_path: Path) -> None:
    place.submit("train", dry_run=True)
    link = tmp_path / "link"
    link.symlink_to(place.root)
    cluster.submit_stages(link, ["train"], chain=False, say=place.said.append)
    assert len(place.calls()) == 1


def test_what_a_local_run_is_at_shows_as_running_and_is_not_submitted(place: Place) -> None:
    place.submit("train", dry_run=True)
    workspace = Workspace(place.root)
    task = read_rows(workspace.training_jobs.manifest("train"))[1]["task"]
    with track("train", task, "clips", 10, workspace.progress_file("train", task)):
        assert place.states("train") == ["open", "running"]
        with pytest.raises(InputError, match=f"{task} of train is running already, by no job of Slurm. Wait for it"):
            place.submit("train")
    assert place.states("train") == ["open", "open"]


def test_an_array_too_large_for_this_cluster_is_not_submitted(place: Place) -> None:
    place.submit("train", dry_run=True)
    (place.slurm / "scontrol").write_text("#!/bin/bash\necho 'MaxArraySize            = 1'\n")
    with pytest.raises(InputError, match="has indices up to 1, but MaxArraySize is 1 here"):
        place.submit("train")


def test_when_sbatch_refuses_what_was_submitted_before_is_named(place: Place) -> None:
    (place.slurm / "refuse").write_text("pred_v2_b")
    with pytest.raises(MachineError, match=r"pred_v2_b.batch: .*invalid partition; submitted before it: 100 101 "):
        place.submit("train", "predict")
    assert len((place.root / "BENCHMARK/jobs/submissions.jsonl").read_text().splitlines()) == 2


def test_on_a_full_disk_nothing_is_submitted(place: Place) -> None:
    place.submit("train", dry_run=True)
    with full_disk(), pytest.raises(MachineError, match=r"submissions\.jsonl: File too large\. Make room$"):
        place.submit("train")
    assert place.calls() == []


def test_a_job_that_could_not_be_recorded_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.submit("train")
    records = place.root / "BENCHMARK/jobs/submissions.jsonl"
    with records.open("a") as file:
        file.write(records.read_text().replace('"dependency":""', f'"dependency":"{"x" * 3300}"'))
    before = records.read_bytes()
    assert 3600 < len(before) < 4096  # the next line fits half
    monkeypatch.setattr("hum_slurm.submit.require_room", lambda _path: None)
    with full_disk(), pytest.raises(MachineError, match=r"submitted as job 101, .* or it is run twice: scancel 101$"):
        place.submit("train")
    assert records.read_bytes() == before


def test_a_line_without_its_end_does_not_spoil_the_next(place: Place) -> None:
    place.submit("train")
    records = place.root / "BENCHMARK/jobs/submissions.jsonl"
    whole = records.read_text()
    records.write_text(whole + whole[:20])
    place.submit("train")
    first, cut, second = records.read_text().splitlines()
    assert (first + "\n", cut, json.loads(second)["job"]) == (whole, whole[:20], 101)
    with pytest.raises(InputError, match=r"line 2: no submission of hum-slurm\. Remove the line"):
        place.status()


def test_a_task_that_is_queued_is_not_submitted_twice(place: Place) -> None:
    place.submit("train")
    place.queue("100|[0-1]|100_[0-1]|PENDING|10:00|2G|Priority")
    with pytest.raises(InputError, match="v1_a of train is waiting already, as 100_0"):
        place.submit("train")


@pytest.mark.parametrize("arguments", ["", " 0-1 3"])
def test_a_job_that_the_script_was_given_by_hand_is_not_doubled(place: Place, arguments: str) -> None:
    place.submit("train", dry_run=True)
    script = place.root / "TRAINING/jobs/train_models.sbatch"
    place.commands(f"77|{script}{arguments}", f"78|{script}.old", "79|/elsewhere/train_models.sbatch", "80|(null)")
    with pytest.raises(InputError, match=r"job 77 is of this script too.* Wait for it, or take it back: scancel 77$"):
        place.submit("train")
    assert place.calls() == []


def test_tasks_of_an_older_manifest_that_still_run_are_not_doubled(place: Place) -> None:
    place.submit("train")
    script = place.root / "TRAINING/jobs/train_models.sbatch"
    (place.root / "data/train/dataset_c").mkdir()
    plan_training(open_context(place.root)).write()
    place.queue("100|0|100_0|RUNNING|10:00|2G|None")
    place.commands(f"100|{script}")
    for again in (place.submit, place.retry):
        with pytest.raises(InputError, match=r"before hum-slurm training wrote other tasks.* scancel 100$"):
            again("train")
    place.commands()
    place.submit("train")
    place.commands(f"101|{script}")
    place.queue("101|0|101_0|RUNNING|10:00|2G|None")
    place.retry("train")  # the other two: its own job is looked at row by row
    assert [call[:2] for call in place.calls()[1:]] == [["--parsable", str(script)], ["--parsable", "--array=1-2%10"]]


def test_files_say_what_is_done_whatever_slurm_says(place: Place) -> None:
    place.submit("train")
    place.queue("100|0|100_0|COMPLETED|10:00|2G|None", "100|1|100_1|COMPLETED|10:00|2G|None")
    assert place.states("train") == ["open", "open"]
    place.end("train", 0, 0, "100_0")
    place.end("train", 1, 0, "100_1", outputs=False)
    assert place.states("train") == ["done", "open"]


def test_a_task_whose_cfg_was_written_after_it_ended_is_open(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "100_0")
    place.end("train", 1, 0, "100_1")
    first, _ = read_rows(Workspace(place.root).training_jobs.manifest("train"))
    (cfg,) = (place.root / text for text in first["inputs"] if text.endswith(".cfg"))
    later_ns = Workspace(place.root).training_jobs.outcome("train", 0).stat().st_mtime_ns + 1_000_000
    os.utime(cfg, ns=(later_ns, later_ns))
    rewritten, other = place.status()["train"]["tasks"]
    assert (rewritten["state"], rewritten["reason"]) == ("open", "its cfg was written since")
    assert other["state"] == "done"


def test_a_task_whose_cfg_was_written_while_it_ran_is_open(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "100_0")
    workspace = Workspace(place.root)
    row = read_rows(workspace.training_jobs.manifest("train"))[0]
    ended_ns = workspace.training_jobs.outcome("train", 0).stat().st_mtime_ns
    ended = datetime.fromtimestamp(ended_ns / 1e9, UTC)
    progress = {"stage": "train", "task": row["task"], "state": "done", "done": 1, "total": 1, "unit": "clips"}
    times = {"rate": None, "started": (ended - timedelta(hours=1)).isoformat(), "updated": ended.isoformat()}
    write_json(workspace.progress_file("train", row["task"]), {**progress, **times})
    (cfg,) = (place.root / text for text in row["inputs"] if text.endswith(".cfg"))
    for minutes, state in ((90, "done"), (30, "open")):
        written_ns = ended_ns - minutes * 60 * 10**9
        os.utime(cfg, ns=(written_ns, written_ns))
        assert place.status()["train"]["tasks"][0]["state"] == state


def test_a_copied_workspace_is_as_done_as_the_one_it_is_a_copy_of(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "100_0")
    workspace = Workspace(place.root)
    row = read_rows(workspace.training_jobs.manifest("train"))[0]
    progress = {"stage": "train", "task": row["task"], "state": "done", "done": 1, "total": 1, "unit": "clips"}
    times = {"rate": None, "started": "2024-05-07T19:00:00+00:00", "updated": "2024-05-07T20:00:00+00:00"}
    write_json(workspace.progress_file("train", row["task"]), {**progress, **times})
    (cfg,) = (place.root / text for text in row["inputs"] if text.endswith(".cfg"))
    later_ns = workspace.training_jobs.outcome("train", 0).stat().st_mtime_ns + 1_000_000
    os.utime(cfg, ns=(later_ns, later_ns))  # files are copied in any order
    assert place.status()["train"]["tasks"][0]["state"] == "done"
    day_later_ns = later_ns + 24 * 3600 * 10**9
    os.utime(cfg, ns=(day_later_ns, day_later_ns))
    assert place.status()["train"]["tasks"][0]["reason"] == "its cfg was written since"


def test_status_tells_states_with_reason_and_log(place: Place) -> None:
    place.submit("train")
    place.queue("100|0|100_0|RUNNING|10:00|2G|None", "100|1|100_1|FAILED|10:00|2G|NonZeroExitCode")
    place.end("train", 1, 2, "100_1", outputs=False)
    log = place.root / "TRAINING/jobs/job_logs/hum-train_models_100_1.out"
    log.write_text("something\nerror: unknown key 'hpo'\nslurmstepd: the end\n")
    running, failed = place.status()["train"]["tasks"]
    assert (running["state"], running["job"], running["slurm_state"]) == ("running", "100_0", "RUNNING")
    assert (failed["state"], failed["exit_code"]) == ("failed", 2)
    assert failed["reason"] == "exit 2; unknown key 'hpo'"
    assert failed["log"] == "TRAINING/jobs/job_logs/hum-train_models_100_1.out"


def test_an_older_outcome_says_nothing_about_a_task_that_was_killed(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "99_0")
    place.queue("100|0|100_0|NODE_FAIL|10:00|2G|None", "100|1|100_1|CANCELLED|10:00|2G|None")
    assert place.states("train") == ["failed", "cancelled"]


@pytest.mark.parametrize(
    ("slurm_state", "state"), [("CANCELLED", "done"), ("FAILED", "failed"), ("BOOT_FAIL", "failed"), (None, "open")]
)
def test_an_older_outcome_holds_for_a_task_that_never_began(place: Place, slurm_state: str | None, state: str) -> None:
    place.submit("train")
    place.end("train", 0, 0, "99_0")
    (row, _) = read_rows(Workspace(place.root).training_jobs.manifest("train"))
    with track("train", row["task"], "clips", 1, Workspace(place.root).progress_file("train", row["task"])) as progress:
        progress.advance(1)
    # Killed at once, it has had no time to write its progress: what lies there is the older task's.
    place.queue(*([f"100|0|100_0|{slurm_state}|10:00|2G|None"] if slurm_state else []))
    assert place.states("train")[0] == state


def test_of_a_chain_nothing_is_submitted_when_one_array_would_be_refused(place: Place) -> None:
    (place.slurm / "refuse-test").write_text("pred_v2_b")
    with pytest.raises(MachineError, match=r"refuse .*pred_v2_b.batch: .*invalid partition\. Nothing was submitted"):
        place.submit("train", "predict")
    assert place.calls() == []


def test_status_of_a_workspace_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nix: no such folder; --workspace wants"):
        cluster.show_status(tmp_path / "nix", json_output=True, say=print)


def test_status_covers_sets_too(place: Place) -> None:
    plan_training(open_context(place.root)).write()
    plan_benchmark(open_context(place.root), set_name="field").write()
    plan_evaluation(open_context(place.root), set_name="field").write()
    assert list(place.status()) == [
        "train",
        *(f"{name} (set field)" for name in ("predict", "rf-train", "evaluate", "compare")),
    ]


def test_a_stage_twice_is_refused(place: Place) -> None:
    with pytest.raises(InputError, match="a stage stands twice"):
        place.submit("train", "train")
