from __future__ import annotations

from pathlib import Path

import pytest

from hum_rf_filter.extraction import WORTH_A_WORKER, Work, processes_for
from hum_shared.selections import Selection


@pytest.mark.parametrize(
    ("counts", "most", "expected"),
    [
        ([], 8, 1),
        ([0, 0], 8, 1),
        ([5, 7], 8, 1),
        ([int(WORTH_A_WORKER), 1], 8, 2),
        ([int(WORTH_A_WORKER)] * 9, 4, 4),
        ([50 * int(WORTH_A_WORKER)], 4, 1),
    ],
)
def test_processes_are_started_where_they_are_worth_it(counts: list[int], most: int, expected: int) -> None:
    work = [Work(str(n), Path("a.wav"), [Selection(0.0, 0.5, 0, 4000)] * n) for n in counts]
    assert processes_for(work, most) == expected


def test_long_selections_are_more_work() -> None:
    work = [Work(name, Path(f"{name}.wav"), [Selection(0.0, 600.0, 0, 4000)]) for name in "abc"]
    assert processes_for(work, 8) == 2
