from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.errors import InputError
from hum_slurm.row_numbers import compressed, expanded


@given(st.sets(st.integers(0, 2000), min_size=1))
def test_a_compressed_list_names_the_same_numbers(numbers: set[int]) -> None:
    assert expanded(compressed(numbers)) == sorted(numbers)


def test_runs_become_ranges() -> None:
    assert compressed([5, 3, 4, 0, 9, 8, 8]) == "0,3-5,8-9"
    assert compressed([]) == ""


def test_steps_are_understood() -> None:
    assert expanded("0-8:4,10") == [0, 4, 8, 10]


@pytest.mark.parametrize("text", ["", "x", "1,", "1--2"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no number or range"):
        expanded(text)
