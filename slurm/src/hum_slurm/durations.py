"""Time limits and amounts of memory as Slurm writes them."""

from __future__ import annotations

import math
import re

from hum_shared.errors import InputError

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)[BbNnCc]?", re.I)
_UNITS_MB = {"K": 1 / 1024, "M": 1, "": 1, "G": 1024, "T": 1024**2}


def parse_minutes(text: str) -> int | None:
    """Return a time limit in minutes, rounded up; None for one without end.

    Slurm's forms: ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
    ``days-hours:minutes`` and ``days-hours:minutes:seconds``.

    Raises
    ------
    InputError
        When it is none of them.
    """
    if text.upper() in ("UNLIMITED", "INFINITE", "NONE", ""):
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError(f"time limit {text!r}: write hours:minutes:seconds or days-hours:minutes:seconds")
    first, second, third = (int(match[name] or 0) for name in ("first", "second", "third"))
    if match["days"] is not None:
        minutes = int(match["days"]) * 1440 + first * 60 + second + third / 60
    elif match["third"] is not None:
        minutes = first * 60 + second + third / 60
    else:
        minutes = first + second / 60
    return math.ceil(minutes)


def parse_megabytes(text: str) -> int | None:
    """Return an amount of memory in MiB, rounded up; None for none (empty, ``0``, ``?``).

    Slurm writes ``2G``, ``8000M``, and older versions ``2Gn`` (per node) or ``2Gc`` (per CPU).
    """
    match = _MEMORY.fullmatch(text)
    if match is None or float(match[1]) == 0:
        return None
    return math.ceil(float(match[1]) * _UNITS_MB[match[2].upper()])
