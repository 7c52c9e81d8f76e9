"""Numbers of rows and array indices as people and Slurm write them: `3`, `0,2-5`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from hum_shared.errors import InputError
from hum_shared.manifest import Row

_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def expanded(text: str) -> list[int]:
    """Return the numbers that a list such as ``0,2-5`` or ``0-8:4`` (every fourth) names, in its order.

    Raises
    ------
    InputError
        When a part is neither a number nor a range.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise InputError(f"{part!r} is no number or range; write 3, 2-5 or 0,2-5")
        first = int(match[1])
        numbers += range(first, int(match[2] or first) + 1, int(match[3] or 1))
    return numbers


def ranges(numbers: Iterable[int]) -> list[str]:
    """Return the shortest ranges that name the numbers, sorted: ``["0", "2-5"]``."""
    out = []
    for _, run in groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        out.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return out


def compressed(numbers: Iterable[int]) -> str:
    """Return the shortest list that :func:`expanded` reads as the numbers, sorted; empty for none."""
    return ",".join(ranges(numbers))


def chosen_rows(rows: Sequence[Row], numbers: Sequence[str]) -> list[Row]:
    """Return the rows that `numbers` name, each once and in order; all of them when it is empty.

    Raises
    ------
    InputError
        When a text is no number or range, or the manifest has no such row.
    """
    if not numbers:
        return list(rows)
    try:
        wanted = {number for text in numbers for number in expanded(text)}
    except InputError as error:
        raise InputError(f"--only: {error}") from None
    unknown = sorted(wanted - {row.index for row in rows})
    if unknown or not wanted:
        raise InputError(f"--only {','.join(numbers)}: the manifest has rows 0 to {len(rows) - 1}")
    return [row for row in rows if row.index in wanted]
