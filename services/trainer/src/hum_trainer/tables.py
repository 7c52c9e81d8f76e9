"""Raven selection tables of a corpus or a dataset: one per tape, or one per labelled clip."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex
from hum_shared.selections import CORPUS_COLUMNS, Selection, write_selections
from hum_trainer.planning import TARGET, PlannedClip

GroupBy = Literal["raw", "clip"]
TABLE_SUFFIX = ".selections.txt"
DEFAULT_HIGH_HZ = 4000.0  # upper edge of a box where the index does not say a sample rate


def corpus_tables(index: CorpusIndex, entries: Iterable[CorpusEntry], group_by: GroupBy) -> dict[str, list[Selection]]:
    """Return the hums as selections, by recording.

    Parameters
    ----------
    group_by
        `raw`: by tape, in tape time; `clip`: by labelled clip, in clip time.

    Returns
    -------
    dict
        Full name of tape or clip → its selections in time order; those without any are not there.
    """
    high_hz = high_frequencies(index)
    tables: dict[str, list[Selection]] = {}
    for entry in entries:
        by_tape = group_by == "raw"
        tables.setdefault(entry.tape if by_tape else entry.recording, []).append(
            Selection(
                begin_s=entry.raw_start_s if by_tape else entry.clip_start_s,
                end_s=entry.raw_end_s if by_tape else entry.clip_end_s,
                high_hz=high_hz.get(entry.tape, DEFAULT_HIGH_HZ),
                sound_type=TARGET,
                comments="" if entry.quality is None else f"Q{entry.quality}",
            )
        )
    return _in_time_order(tables)


def dataset_tables(index: CorpusIndex, clips: Iterable[PlannedClip]) -> dict[str, list[Selection]]:
    """Return the clips of a dataset as selections in tape time, by tape; comments name label, part and file."""
    high_hz = high_frequencies(index)
    tables: dict[str, list[Selection]] = {}
    for clip in clips:
        tables.setdefault(clip.tape, []).append(
            Selection(
                begin_s=clip.start_s,
                end_s=clip.end_s,
                high_hz=high_hz.get(clip.tape, DEFAULT_HIGH_HZ),
                sound_type=clip.class_name,
                comments=f"{clip.label} {clip.part} {clip.file_name}",
            )
        )
    return _in_time_order(tables)


def write_tables(folder: Path, tables: Mapping[str, list[Selection]]) -> list[Path]:
    """Write `<recording's full name>.selections.txt` for each recording; returns the paths."""
    paths = []
    for recording, selections in tables.items():
        paths.append(folder / (recording + TABLE_SUFFIX))
        write_selections(paths[-1], selections, CORPUS_COLUMNS)
    return paths


def chosen(
    index: CorpusIndex, *, qualities: Collection[int] = (), path_filter: str = "", regex: bool = False
) -> list[CorpusEntry]:
    """Return the hums of some qualities and some files.

    Parameters
    ----------
    qualities
        None means all, also unknown ones.
    path_filter
        Text, or with `regex` a regular expression, that a path of the hum (`hum_path`, `clip_path` or
        `raw_path`) must contain.

    Raises
    ------
    InputError
        When the expression is none, or nothing is left.
    """
    try:
        pattern = re.compile(path_filter if regex else re.escape(path_filter))
    except re.error as error:
        raise InputError(
            f"--path-filter {path_filter!r} is no regular expression: {error}. Leave out --regex?"
        ) from None
    entries = [
        entry
        for entry in index.entries
        if (not qualities or entry.quality in qualities)
        and any(pattern.search(path) for path in (entry.hum_path, entry.clip_path, entry.raw_path) if path is not None)
    ]
    if not entries:
        present = sorted({entry.quality for entry in index.entries if entry.quality is not None})
        raise InputError(
            f"none of {len(index.entries)} hums is left (qualities {sorted(qualities) or 'all'}, path filter "
            f"{path_filter!r}); the index has qualities {present}"
        )
    return entries


def high_frequencies(index: CorpusIndex) -> dict[str, float]:
    """Return for each tape half the sample rate of its recordings, where the index says it."""
    rates: dict[str, float] = {}
    for recording in index.meta.recordings or []:
        sample_rate = (recording.model_extra or {}).get("sample_rate")
        if sample_rate:
            rates[recording.tape] = max(rates.get(recording.tape, 0.0), sample_rate / 2)
    return rates


def _in_time_order(tables: Mapping[str, list[Selection]]) -> dict[str, list[Selection]]:
    return {name: sorted(rows, key=lambda row: (row.begin_s, row.end_s)) for name, rows in sorted(tables.items())}
