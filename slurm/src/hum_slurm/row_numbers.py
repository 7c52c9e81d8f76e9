"""Row numbers as a person writes them: `3`, `0,2-5`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hum_shared.errors import InputError
from hum_shared.manifest import Row

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def chosen_rows(rows: Sequence[Row], numbers: Sequence[str]) -> list[Row]:
    """Return the rows that `numbers` name, each once and in order; all of them when it is empty.

    Raises
    ------
    InputError
        When a text is no number or range, or the manifest has no such row.
    """
    if not numbers:
        return list(rows)
    wanted: set[int] = set()
    for part in (part.strip() for text in numbers for part in text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise InputError(f"--only {part!r} is no row number or range; write 3, 2-5 or 0,2-5")
        first = int(match[1])
        wanted |= set(range(first, int(match[2] or first) + 1))
    unknown = sorted(wanted - {row.index for row in rows})
    if unknown or not wanted:
        raise InputError(f"--only {','.join(numbers)}: the manifest has rows 0 to {len(rows) - 1}")
    return [row for row in rows if row.index in wanted]
