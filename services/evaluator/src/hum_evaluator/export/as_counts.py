"""Counts: how many selections start in every hour that was searched, also in hours without any."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from hum_evaluator.export.rows import RunSelections
from hum_shared import heard, names
from hum_shared.command import warn
from hum_shared.errors import InputError
from hum_shared.files import write_text
from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, duration

FILE = "counts.csv"
COLUMNS = (
    "model",
    "variant",
    "layer",
    "recording",
    "tape",
    "hour_start_s",
    "hour_clock",
    "searched_s",
    "n_selections",
    "per_hour",
)
"""A row per recording and hour; `hour_start_s` is tape time, `hour_clock` the recorder's, empty where unknown."""

_HOUR_S = 3600.0


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `counts.csv`: the effort, and what was found for it.

    Hours are those of the recorder's clock where the tape's name carries one, else hours of the tape. A selection
    counts in the hour in which it starts. `per_hour` is empty where one starts in an hour that was not searched.
    Time that several recordings of a tape hold counts in each, with a warning.

    Raises
    ------
    InputError
        When the index does not say which recordings were searched (an old one).
    """
    if run.recordings is None:
        raise InputError(
            f"{run.model}/{run.variant}/{run.layer}: its index does not say which recordings were searched, so nothing "
            "can be counted per hour. Run hum-evaluator run again."
        )
    twice = heard.shared_s(run.recordings)
    if twice:
        tape, seconds = next(iter(twice.items()))
        more = f", and {len(twice) - 1} more tapes" if len(twice) > 1 else ""
        warn(f"{FILE}: recordings share {seconds:.0f} s of {tape}{more}: what is found there counts once in each")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for info in run.recordings:
        writer.writerows((run.model, run.variant, run.layer, info.name, info.tape, *row) for row in _hours(info, run))
    write_text(folder / FILE, text.getvalue())
    return [folder / FILE]


def _hours(info: RecordingInfo, run: RunSelections) -> Iterator[tuple[float, str, float, int, float | None]]:
    """Yield the cells of each hour of a recording in which something was searched or found."""
    start = names.tape_start(info.name)
    past_hour_s = 0.0 if start is None else (start - _whole_hour(start)).total_seconds()
    starts_s = np.array([row.entry.tape_interval_s()[0] for row in run.by_recording.get(info.name, [])])
    found = Counter(np.floor((starts_s + past_hour_s) / _HOUR_S).astype(int).tolist())
    searched = heard.stretches(info)
    for hour in sorted({*_hours_of(searched + past_hour_s), *found}):
        begin_s = hour * _HOUR_S - past_hour_s
        inside = np.clip(searched, begin_s, begin_s + _HOUR_S)
        searched_s = round(duration(inside[inside[:, 1] > inside[:, 0]]), 3)
        if searched_s > 0 or found[hour]:
            clock = "" if start is None else (start + timedelta(seconds=begin_s)).isoformat(timespec="seconds")
            rate = round(found[hour] / searched_s * _HOUR_S, 3) if searched_s > 0 else None
            yield round(begin_s, 3), clock, searched_s, found[hour], rate


def _hours_of(searched: Intervals) -> range:
    """Return the hours from the first one in which something was searched to the last."""
    if len(searched) == 0:
        return range(0)
    return range(int(searched[:, 0].min() // _HOUR_S), int(searched[:, 1].max() // _HOUR_S) + 1)


def _whole_hour(clock: datetime) -> datetime:
    return clock.replace(minute=0, second=0, microsecond=0)
