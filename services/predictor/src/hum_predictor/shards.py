"""Which of the recordings of a run fall to one shard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hum_shared.errors import InputError


def parse_shard(text: str) -> tuple[int, int]:
    """Return (K, N) of ``K/N``.

    Raises
    ------
    InputError
        Unless 1 ≤ K ≤ N.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard {text}: expected K/N with 1 ≤ K ≤ N, for example 2/8")
    return int(match[1]), int(match[2])


def shard_of(recordings: Sequence[Path], dur_s: Mapping[Path, float], shard: int, n_shards: int) -> list[Path]:
    """Return the recordings of one shard; the shards together hold each recording once.

    Longest first, each to the shard with the least audio so far (Graham's LPT rule): every shard comes to
    the same cut on its own.

    Parameters
    ----------
    dur_s
        Seconds of each recording; 0 for one that cannot be read.
    shard
        From 1 to `n_shards`.

    Returns
    -------
    list of Path
        Sorted by name; empty when there are fewer recordings than shards.
    """
    loads = [0.0] * n_shards
    counts = [0] * n_shards
    mine = []
    for path in sorted(recordings, key=lambda path: (-dur_s[path], path)):
        least = min(range(n_shards), key=lambda k: (loads[k], counts[k], k))
        loads[least] += dur_s[path]
        counts[least] += 1
        if least == shard - 1:
            mine.append(path)
    return sorted(mine)
