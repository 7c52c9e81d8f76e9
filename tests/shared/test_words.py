from __future__ import annotations

import pytest

from hum_shared.words import listed


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
        (list("abcde"), "a, b and 3 more"),
    ],
)
def test_items_beyond_the_limit_are_counted(items: list[str], said: str) -> None:
    assert listed(items, at_most=2) == said
    assert listed(iter(items), at_most=2) == said


def test_reasons_are_set_apart_by_semicolons() -> None:
    assert listed(["a: no", "b: no", "c: no"], 2, "; ") == "a: no; b: no; and 1 more"
