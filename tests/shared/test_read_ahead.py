"""Items made on a thread while others are worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hum_shared.read_ahead import read_ahead


def n_readers() -> int:
    return sum(thread.name == "reader" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_items_come_whole_and_in_order_also_those_that_are_none_like(depth: int) -> None:
    items = [0, "", [], 1, 2, 3]
    assert list(read_ahead(items, depth)) == items
    assert n_readers() == 0


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("third")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="third"):
        next(ahead)
    assert n_readers() == 0


def test_no_more_is_made_than_there_is_room_for_and_a_reader_that_nobody_listens_to_ends() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    ahead = read_ahead(items(), depth=2)
    assert next(ahead) == 0
    ahead.close()
    assert n_readers() == 0
    assert len(made) <= 5
