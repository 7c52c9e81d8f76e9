from __future__ import annotations

from pathlib import Path

import pytest

from hum_slurm.job_states import TaskState, parse_jobcomp, parse_sacct, parse_squeue
from hum_slurm.programs import output_of
from hum_slurm.queue import Queue

RECORDED = Path(__file__).parents[1] / "golden" / "slurm" / "recorded"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text("utf-8")


def test_squeue_gives_a_record_per_task_also_of_arrays_that_wait() -> None:
    assert parse_squeue(recorded("squeue.txt")) == [
        TaskState(2, 0, "PENDING", "BeginTime", limit_minutes=2880, memory_mb=8000),
        *(TaskState(7, i, "PENDING", "Dependency", limit_minutes=10, memory_mb=2048) for i in (2, 3, 4)),
        TaskState(1, 1, "FAILED", "NonZeroExitCode", memory_mb=2048),
        TaskState(9, None, "COMPLETED", limit_minutes=1),
    ]


def test_sacct_gives_state_exit_code_and_what_a_task_was_given() -> None:
    states = {(state.job, state.index): state for state in parse_sacct(recorded("sacct.txt"))}
    assert states[12, 1] == TaskState(12, 1, "FAILED", exit_code=2, limit_minutes=10, memory_mb=2048)
    assert states[12, 2] == TaskState(12, 2, "OUT_OF_MEMORY", exit_code=0, limit_minutes=10, memory_mb=2000)
    assert states[12, 3] == TaskState(12, 3, "TIMEOUT", exit_code=0, limit_minutes=1440, memory_mb=16384)
    assert (states[12, 4].state, states[12, 4].limit_minutes) == ("CANCELLED", None)
    assert [states[12, index].is_waiting for index in (5, 6, 9)] == [True] * 3
    assert states[13, None].state == "NODE_FAIL"
    assert len(states) == 9


def test_jobcomp_gives_the_array_and_index_of_finished_tasks() -> None:
    states = parse_jobcomp(recorded("jobcomp.log"))
    assert states[0] == TaskState(1, 0, "COMPLETED", exit_code=0, limit_minutes=2880, memory_mb=8000)
    assert states[1] == TaskState(1, 1, "FAILED", exit_code=2, limit_minutes=2880, memory_mb=8000)
    assert states[2] == TaskState(5, None, "CANCELLED", exit_code=0, limit_minutes=2880, memory_mb=8000)
    assert states[3].is_waiting
    assert len(states) == 4


@pytest.mark.parametrize(
    ("listed", "whole"),
    [("0-2,5,7...", [0, 1, 2, 5]), ("0-2,5,74-...", [0, 1, 2, 5]), ("0,5,...%3", [0, 5]), ("...", [])],
)
def test_the_tasks_that_a_cut_list_leaves_out_wait_like_those_it_names(listed: str, whole: list[int]) -> None:
    states = parse_sacct(f"12_[{listed}]|PENDING|0:0|00:10:00|2G|Unknown|Unknown\n")
    assert [state.index for state in states] == [*whole, None]
    assert all(state.is_waiting for state in states)
    queue = Queue("sacct", {(state.job, state.index): state for state in states})
    assert queue.state(12, 99) == states[-1]


def test_slurm_is_told_not_to_cut_lists() -> None:
    assert output_of("printenv", "SLURM_BITSTR_LEN") == "0\n"


def test_no_text_is_no_tasks() -> None:
    assert parse_squeue("") == parse_sacct("") == parse_jobcomp("") == []
