"""What is shown of a task, from what the workspace knows about it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_shared.progress import TaskProgress
from hum_shared.status.inside import Inside
from hum_shared.status.task_files import TaskFiles
from hum_shared.status.tasks import Evidence, Outcome, stage_views, view
from hum_shared.status.views import TaskView
from support.status_workspace import HOSTILE, write_outcome, write_progress, write_stage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROW = Row(index=0, stage="predict", task="t", command=["x"], inputs=[], outputs=["o"])


def progress(state: str = "running", ago_s: float = 0, **values: Any) -> TaskProgress:
    said: dict[str, Any] = {"done": 30, "total": 120, "unit": "windows", "rate": 10.0, "remaining_s": 9.0}
    times = {"started": "2026-01-01T11:00:00+00:00", "updated": (NOW - timedelta(seconds=ago_s)).isoformat()}
    return TaskProgress.model_validate({"stage": "predict", "task": "t", "state": state} | said | times | values)


def shown(said: TaskProgress | None, exit_code: int | None = None, ended_ago_s: float = 0, words: str = "") -> TaskView:
    outcome = None if exit_code is None else Outcome(manifest_sha256="", exit_code=exit_code, job="local")
    ended_s = NOW.timestamp() - ended_ago_s
    return view(Evidence("predict", "t", ROW, said, outcome, ended_s, None, words), NOW)


@pytest.mark.parametrize(
    ("said", "exit_code", "state"),
    [
        (None, None, "queued"),
        (progress(), None, "running"),
        (progress(ago_s=121), None, "lost"),
        (progress("failed"), None, "failed"),
        (progress("queued"), None, "queued"),
        (progress("done"), 0, "done"),
        (progress("done"), 3, "partial"),
        (progress("queued"), 75, "queued"),
        (progress("failed"), 2, "failed"),
        (progress(ago_s=5), 137, "failed"),
        (progress(ago_s=500), -9, "failed"),
        (None, 2, "failed"),
        (None, 0, "done"),
    ],
)
def test_the_state_of_a_task(said: TaskProgress | None, exit_code: int | None, state: str) -> None:
    assert shown(said, exit_code).state == state


def test_a_task_that_gave_a_sign_of_life_after_its_end_runs_again() -> None:
    again = shown(progress(ago_s=2), exit_code=1, ended_ago_s=60)
    assert (again.state, again.exit_code) == ("running", None)


def test_a_failed_task_says_why() -> None:
    assert shown(progress("failed", message="a.wav: empty"), 2).message == "a.wav: empty"


def test_a_killed_task_says_what_killed_it_and_its_last_words() -> None:
    killed = shown(progress(ago_s=5, message="a.wav"), 137, words="Detected 1 oom_kill event")
    assert killed.message.startswith("killed (SIGKILL): often out of memory")
    assert killed.message.endswith("last line of its log: Detected 1 oom_kill event")
    assert shown(None, -9).message == "killed (SIGKILL): often out of memory"


def test_a_task_that_never_began_says_its_exit_code_and_last_words() -> None:
    assert shown(None, 2, words="x.cfg: unknown key").message == "exit code 2; last line of its log: x.cfg: unknown key"


def test_a_lost_task_says_since_when() -> None:
    assert shown(progress(ago_s=300, message="a.wav")).message == "silent since 2026-01-01T11:55:00+00:00; last: a.wav"


@pytest.mark.parametrize(
    ("said", "share"),
    [
        (None, 0.0),
        (progress(), 0.25),
        (progress(total=None), None),
        (progress(total=0), None),
        (progress(done=130), 1.0),
        (progress(done=-1), 0.0),
        (progress("done", done=0, total=0), 1.0),
        (progress("done", total=None), 1.0),
    ],
)
def test_how_much_is_done(said: TaskProgress | None, share: float | None) -> None:
    assert shown(said).share == share


def test_numbers_that_json_cannot_hold_are_left_out() -> None:
    odd = shown(progress(done=float("nan"), total=float("inf"), rate=float("inf"), remaining_s=float("nan")))
    assert (odd.done, odd.total, odd.rate, odd.remaining_s, odd.share) == (0.0, None, None, None, None)


def test_only_a_running_task_has_time_left() -> None:
    assert shown(progress()).remaining_s == 9.0
    assert shown(progress("failed"), 1).remaining_s is None


def test_a_stage_adds_up_its_tasks() -> None:
    tasks = [shown(progress()), shown(progress(rate=20.0)), shown(None), shown(progress("done", done=120), 0)]
    (stage,) = stage_views(tasks)
    assert stage.n_tasks == 4
    assert {state: n for state, n in stage.counts.items() if n} == {"running": 2, "queued": 1, "done": 1}
    assert (stage.share, stage.unit, stage.rate) == (0.375, "windows", 30.0)
    assert stage.remaining_s == pytest.approx((90 + 90 + 120) / 30)  # the queued one is taken for an average one


def test_a_stage_that_counts_different_things_has_no_throughput() -> None:
    (stage,) = stage_views([shown(progress()), shown(progress(unit="files"))])
    assert (stage.unit, stage.rate, stage.remaining_s) == (None, None, None)


def test_stages_come_in_the_order_they_run() -> None:
    tasks = [shown(None).model_copy(update={"stage": name}) for name in ("zebra", "rf", "compare", "train", "apple")]
    assert [stage.stage for stage in stage_views(tasks)] == ["train", "rf", "compare", "apple", "zebra"]


def files_of(root: Path) -> TaskFiles:
    return TaskFiles(Workspace(root), Inside(root))


def test_rows_progress_and_outcomes_meet(tmp_path: Path) -> None:
    jobs = write_stage(tmp_path, "predict", ["a", HOSTILE, "c"])
    write_progress(tmp_path, "predict", HOSTILE)
    write_progress(tmp_path, "predict", "not in a manifest")
    write_outcome(jobs, "predict", 2, 2)
    jobs.log("predict", "c").write_text("working\nerror: c.cfg: unknown key 'hpo'\n\n")
    found, problems = files_of(tmp_path).read()
    assert problems == []
    assert set(found) == {"predict/a", f"predict/{HOSTILE}", "predict/c", "predict/not in a manifest"}
    assert found["predict/a"].row is not None
    assert found[f"predict/{HOSTILE}"].progress is not None
    assert found["predict/c"].last_words == "c.cfg: unknown key 'hpo'"


@pytest.mark.parametrize(("state", "exit_code", "shown_state"), [("done", 3, "partial"), ("running", 137, "failed")])
@pytest.mark.parametrize("clock_ahead_s", [0, 5])
def test_an_end_is_seen_whatever_the_clock_of_the_node_says(
    tmp_path: Path, state: str, exit_code: int, shown_state: str, clock_ahead_s: float
) -> None:
    jobs = write_stage(tmp_path, "predict", ["a"])
    write_progress(tmp_path, "predict", "a", state, ago_s=-clock_ahead_s)
    outcome = write_outcome(jobs, "predict", 0, exit_code)
    found = files_of(tmp_path).read()[0]["predict/a"]
    assert view(found, datetime.now(UTC)).state == shown_state
    os.utime(outcome, (1, 1))
    assert not files_of(tmp_path).read()[0]["predict/a"].has_ended


def test_an_outcome_of_an_older_manifest_does_not_count(tmp_path: Path) -> None:
    jobs = write_stage(tmp_path, "predict", ["a"])
    write_outcome(jobs, "predict", 0, 1, digest="f" * 64)
    assert files_of(tmp_path).read()[0]["predict/a"].outcome is None


def test_sets_and_training_are_found(tmp_path: Path) -> None:
    write_stage(tmp_path, "train", ["v1"])
    write_stage(tmp_path, "predict", ["set-val__m"], set_name="val")
    assert set(files_of(tmp_path).read()[0]) == {"train/v1", "predict/set-val__m"}


def test_what_is_half_written_keeps_its_last_state(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    path = write_progress(tmp_path, "predict", "a")
    write_progress(tmp_path, "predict", "b")
    assert len(files.read()[0]) == 2
    path.write_text(path.read_text()[:40])
    found, problems = files.read()
    assert found["predict/a"].progress is not None
    assert [problem.partition(":")[0] for problem in problems] == ["progress/predict/a.json"]


def test_what_never_could_be_read_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    write_progress(tmp_path, "predict", "b")
    folder = tmp_path / "progress" / "predict"
    (folder / "empty.json").write_text("")
    (folder / "list.json").write_text("[]")
    (folder / "binary.json").write_bytes(bytes(range(256)))
    jobs = write_stage(tmp_path, "evaluate", ["x"])
    jobs.manifest("evaluate").write_text('{"index": 0,')
    found, problems = files_of(tmp_path).read()
    assert set(found) == {"predict/b"}
    assert len(problems) == 4


def test_a_file_of_the_same_size_and_time_is_not_mistaken(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    path = write_progress(tmp_path, "predict", "a", done=30)
    stamp = path.stat()
    files.read()
    path.write_text(path.read_text().replace('"done":30.0', '"done":31.0'))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    said = files.read()[0]["predict/a"].progress
    assert said is not None
    assert said.done == 31


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(tmp_path)
    old = write_progress(tmp_path, "predict", "a")
    os.utime(old, (1, 1))
    before = files.read()[0]
    monkeypatch.setattr(Inside, "read", lambda *_: pytest.fail("it was read again"))
    after = files.read()[0]
    assert after["predict/a"] is before["predict/a"]


def test_vanished_folders_leave_nothing(tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "w"
    write_stage(root, "predict", ["a"])
    write_progress(root, "predict", "a")
    files = files_of(root)
    assert len(files.read()[0]) == 1
    shutil.rmtree(root)
    assert files.read() == ({}, [])


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    path = write_progress(tmp_path, "predict", "a")
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff\xfe.json"))
    (found,) = files_of(tmp_path).read()[0]
    assert found.encode() == "predict/��".encode()


def test_the_log_of_a_slurm_task_is_found_by_its_job(tmp_path: Path) -> None:
    jobs = write_stage(tmp_path, "predict", ["a"])
    write_outcome(jobs, "predict", 0, 1, job="123_4")
    (jobs.logs / "hum-pred_x_123_4.out").write_text("this one")
    (jobs.logs / "hum-pred_x_1123_4.out").write_text("another job's")
    files = files_of(tmp_path)
    found = files.read()[0]["predict/a"]
    assert files.log(found, 100) == ("BENCHMARK/jobs/job_logs/hum-pred_x_123_4.out", b"this one")


def test_a_running_task_says_where_its_log_is(tmp_path: Path) -> None:
    log = tmp_path / "BENCHMARK" / "jobs" / "job_logs" / "hum-pred_5_0.out"
    log.parent.mkdir(parents=True)
    log.write_text("at work")
    write_progress(tmp_path, "predict", "a", log=str(log))
    files = files_of(tmp_path)
    assert files.log(files.read()[0]["predict/a"], 100) == ("BENCHMARK/jobs/job_logs/hum-pred_5_0.out", b"at work")


def test_a_task_cannot_name_a_log_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = tmp_path / "w"
    for name in (str(secret), str(root / ".." / "secret"), "../secret", "/proc/self/environ"):
        write_progress(root, "predict", "a", log=name)
        files = files_of(root)
        assert files.log(files.read()[0]["predict/a"], 100) is None
