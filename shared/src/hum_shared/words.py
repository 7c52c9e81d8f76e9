"""Words that messages share."""

from __future__ import annotations

from collections.abc import Iterable


def listed(items: Iterable[str], at_most: int = 5, separator: str = ", ") -> str:
    """Return items in one line, and how many there are beyond the first `at_most`; "" for none.

    >>> listed(["a.wav", "b.wav", "c.wav"], at_most=2)
    'a.wav, b.wav and 1 more'
    """
    items = list(items)
    said = separator.join(items[:at_most])
    if len(items) <= at_most:
        return said
    end = "" if separator == ", " else separator.rstrip()
    return f"{said}{end} and {len(items) - at_most} more"
