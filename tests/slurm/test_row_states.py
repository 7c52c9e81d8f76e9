from __future__ import annotations

import json
from pathlib import Path

import pytest

from hum_shared.layout import Jobs
from hum_slurm.job_states import TaskState
from hum_slurm.retry import Resources, kept_back, resources_for
from hum_slurm.row_states import Outcome, RowState, judge, last_error, read_outcome
from hum_slurm.site import JobSettings
from support.slurm_workspace import stand_in_rows

SETTINGS = JobSettings(time="1:00:00", memory="2G")
(ROW,) = stand_in_rows("0")


def outcome(code: int | None) -> Outcome | None:
    return None if code is None else Outcome(code, "7_0", 5)


@pytest.mark.parametrize(
    ("code", "complete", "slurm", "state"),
    [
        (0, True, "COMPLETED", "done"),
        (0, True, None, "done"),
        (3, True, "COMPLETED", "partial"),
        (0, False, "COMPLETED", "open"),
        (None, True, "COMPLETED", "open"),
        (None, False, None, "open"),
        (2, False, "FAILED", "failed"),
        (1, True, None, "failed"),
        (137, False, "OUT_OF_MEMORY", "failed"),
        (None, True, "NODE_FAIL", "failed"),
        (None, False, "CANCELLED", "cancelled"),
        (0, True, "RUNNING", "running"),
        (75, False, "PENDING", "waiting"),
        (75, False, "FAILED", "failed"),
        (75, False, "CANCELLED", "cancelled"),
        (75, False, "TIMEOUT", "failed"),
        (75, False, None, "open"),
    ],
)
def test_files_come_first_unless_the_task_is_queued_or_runs(
    code: int | None, complete: bool, slurm: str | None, state: str
) -> None:
    task = None if slurm is None else TaskState(7, 0, slurm)
    assert judge(complete=complete, outcome=outcome(code), slurm=task)[0] == state


@pytest.mark.parametrize("word", ["OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"])
def test_what_was_requeued_and_then_died_failed_of_that(word: str) -> None:
    assert judge(complete=False, outcome=outcome(75), slurm=TaskState(7, 0, word)) == ("failed", word)


@pytest.mark.parametrize(("code", "state"), [(2, "failed"), (3, "partial")])
def test_what_ended_2_or_3_waits_for_a_change_of_what_it_reads(code: int, state: str) -> None:
    row = RowState(ROW, state, exit_code=code, outcome=outcome(code))  # type: ignore[arg-type]
    assert kept_back(row, lambda _row, since_ns: since_ns < 5)
    assert not kept_back(row, lambda _row, since_ns: since_ns == 5)


def test_what_failed_otherwise_is_tried_again_as_it_is() -> None:
    assert not kept_back(RowState(ROW, "failed", exit_code=1, outcome=outcome(1)), lambda _row, _since: False)
    assert not kept_back(RowState(ROW, "cancelled"), lambda _row, _since: False)


@pytest.mark.parametrize(
    ("state", "code", "given", "expected"),
    [
        ("OUT_OF_MEMORY", 137, {"memory_mb": 3000}, Resources(memory="6000M")),
        ("OUT_OF_MEMORY", None, {}, Resources(memory="4096M")),
        ("TIMEOUT", None, {"limit_minutes": 30}, Resources(time="60")),
        ("TIMEOUT", None, {}, Resources(time="100")),
        ("FAILED", 75, {"limit_minutes": 10}, Resources(time="20")),
        ("FAILED", 1, {"limit_minutes": 10}, Resources()),
        ("NODE_FAIL", None, {}, Resources()),
    ],
)
def test_what_ran_out_gets_twice_as_much(
    state: str, code: int | None, given: dict[str, int], expected: Resources
) -> None:
    row = RowState(ROW, "failed", exit_code=code, slurm=TaskState(7, 0, state, **given))  # type: ignore[arg-type]
    assert resources_for(row, SETTINGS, max_minutes=100) == expected


def test_no_time_is_taken_away_where_the_limit_is_reached() -> None:
    row = RowState(ROW, "failed", slurm=TaskState(7, 0, "TIMEOUT", limit_minutes=100))
    assert resources_for(row, SETTINGS, max_minutes=60) == Resources(time="100")


@pytest.mark.parametrize(("row", "said"), [(0, "epoch 8"), (1, "no such file"), (2, "last words"), (3, ""), (4, "")])
def test_a_reason_is_what_the_row_itself_said_in_its_last_attempt(tmp_path: Path, row: int, said: str) -> None:
    log = tmp_path / "shared.out"
    log.write_text(
        "module loaded\n=== row 0, attempt 1\nerror: stopped on SIGUSR1\n=== row 0, attempt 2\nepoch 8\n"
        "=== row 1, attempt 2\nerror: no such file\nbye\n=== row 2, attempt 2\nlast words\n=== row 3, attempt 2\n"
    )
    assert last_error(log, row) == said


def test_a_log_of_one_row_needs_no_line_that_begins_it(tmp_path: Path) -> None:
    log = tmp_path / "task.log"
    log.write_text("error: no such file\nbye\n")
    assert last_error(log, 7) == "no such file"
    assert last_error(tmp_path / "none.log", 7) == ""


@pytest.mark.parametrize("changed", [{"job": ""}, {"job": "7"}, {"exit_code": None}, {"manifest_sha256": "b"}])
def test_an_outcome_that_is_none_of_ours_is_as_good_as_none(tmp_path: Path, changed: dict[str, object]) -> None:
    jobs, value = Jobs(tmp_path), {"manifest_sha256": "a", "index": 0, "exit_code": 0, "job": "7_0"}
    path = jobs.outcome(ROW.stage, ROW.index)
    path.parent.mkdir()
    path.write_text(json.dumps(value))
    found = read_outcome(jobs, ROW, "a")
    assert found is not None
    assert (found.exit_code, found.job) == (0, "7_0")
    path.write_text(json.dumps({**value, **changed}))
    assert read_outcome(jobs, ROW, "a") is None
