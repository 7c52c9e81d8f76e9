"""Which recordings a run scores, and which of them fall to one shard."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.recordings import refuse_shared_tracks


def find_recordings(source: Path, *, recursive: bool) -> list[Path]:
    """Return the recordings that `input_file` means, sorted by name.

    Parameters
    ----------
    source
        A recording (whatever its suffix), a folder, or a glob. An existing path is taken literally, also
        when its name holds ``*`` or ``[``; so are the folders of a glob that exist. Hidden files are left out;
        links that lead nowhere are not, so that they are reported.
    recursive
        Look into sub-folders as well.

    Raises
    ------
    InputError
        When nothing is found (says where and for what), or two recordings would share a score track.
    """
    if source.is_file():
        return [source]
    if source.is_dir():
        found = source.rglob("*") if recursive else source.iterdir()
        looked_for = f"{'/'.join(names.AUDIO_SUFFIXES)} files" + (" in it and below" if recursive else " in it")
    else:
        folder = next(parent for parent in source.absolute().parents if parent.exists())
        pattern = glob.escape(str(folder)) + "/" + str(source.absolute().relative_to(folder))
        found = (Path(path) for path in glob.glob(pattern, recursive=recursive))  # noqa: PTH207 (absolute pattern)
        looked_for = "recordings that match"
    recordings = sorted(path for path in found if _is_recording(path))
    if not recordings:
        missing = "" if source.exists() or glob.has_magic(str(source)) else " (no such file or folder)"
        raise InputError(f"{source}: found no {looked_for}{missing}. Check input_file.")
    refuse_shared_tracks(recordings, "Rename one or score them into two folders.")
    return recordings


def _is_recording(path: Path) -> bool:
    return names.is_audio(path.name) and not path.name.startswith(".") and not path.is_dir()


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
