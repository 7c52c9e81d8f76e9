from __future__ import annotations

from pathlib import Path

import pytest

from hum_slurm.outcome import Ended, run_failure, state_of, summary
from support.slurm_workspace import stand_in_rows


def ended(*codes: int) -> list[Ended]:
    rows = stand_in_rows(*map(str, codes))
    return [
        Ended(row, state_of(code, nothing_to_do=False), code, 1.0, Path("log"), "why")
        for row, code in zip(rows, codes, strict=True)
    ]


@pytest.mark.parametrize(
    ("codes", "n_rows", "exit_code"),
    [
        ([0, 0], 2, None),
        ([0, 3], 2, 3),
        ([3, 2], 2, 2),
        ([2, 1, 3], 3, 1),
        ([-9, 2], 2, 1),
        ([0], 2, 75),
        ([75, 1], 2, 75),
    ],
)
def test_a_run_ends_as_its_worst_row_unless_it_was_stopped(
    codes: list[int], n_rows: int, exit_code: int | None
) -> None:
    failure = run_failure(ended(*codes), n_rows)
    assert (None if failure is None else failure.exit_code) == exit_code


def test_failed_rows_are_named_with_code_reason_and_log() -> None:
    failure = run_failure(ended(0, 2), 2)
    assert str(failure) == "1 of 2 failed: task 1 ended 2 (why), see log"


def test_the_summary_counts_every_row_once() -> None:
    assert summary(ended(0, 2, 3), 3) == "done 1, failed 1, skipped 0, partial 1 (of 3)"
    assert summary(ended(0, 75), 4) == "done 1, failed 0, skipped 0, partial 0 (of 4); 3 stopped or not started"


def test_of_many_failures_the_first_five_are_named() -> None:
    assert str(run_failure(ended(*[2] * 7), 7)).endswith("task 4 ended 2 (why), see log; and 2 more")
