"""How a task ends in which some recordings failed: `failures.json` and exit code 3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hum_shared.errors import PartialFailure
from hum_shared.files import remove, write_json
from hum_shared.words import listed

_NAMED = 3


def settle_failures(file: Path, failures: Mapping[str, str], n_all: int, what: str = "recordings") -> None:
    """Write what failed and why, and end as a partial failure; without failures remove what an earlier run wrote.

    Called when everything else is written.

    Parameters
    ----------
    file
        `failures.json`.
    failures
        Name → reason.
    n_all
        How many there were, with those that failed.
    what
        What they are, for the message.

    Raises
    ------
    PartialFailure
        When there are failures; names the first three.
    """
    if not failures:
        remove(file)
        return
    write_json(file, dict(sorted(failures.items())))
    named = listed((f"{name}: {reason}" for name, reason in sorted(failures.items())), _NAMED, "; ")
    raise PartialFailure(f"{len(failures)} of {n_all} {what} failed (all in {file}): {named}")
