"""Options of `hum-trainer` that take several values in a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def spread_values(arguments: Sequence[str]) -> list[str]:
    """Let ``--qualities 1 2 3`` and ``--strategy a b`` mean the same as the option repeated.

    Values end at the next option and at what cannot be one: for qualities whatever is no number, for strategies
    whatever is a path (so that the corpus may also follow them, where it does not come first).
    """
    out: list[str] = []
    option = ""
    corpus_first = not any(word.startswith("-") for word in arguments[1:2])
    for position, argument in enumerate(arguments):
        before = arguments[position - 1] if position else ""
        if argument.startswith("-"):
            option = argument if argument in ("--qualities", "--strategy") else ""
        elif option and before != option:
            number = argument.isdecimal()
            path = "/" in argument or argument in (".", "..") or (not corpus_first and Path(argument).is_dir())
            if number if option == "--qualities" else not path:
                out.append(option)
            else:
                option = ""
        out.append(argument)
    return out
