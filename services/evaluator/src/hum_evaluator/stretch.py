"""A stretch of a recording with all that is known about it: sound, scores, selections, true calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hum_evaluator.tracks import Source, find_sources, read_prediction
from hum_shared import names
from hum_shared.audio import Samples, probe, read_mono
from hum_shared.decoders import noise_index
from hum_shared.errors import InputError
from hum_shared.scores import damaged, read_score_meta
from hum_shared.words import listed


@dataclass(frozen=True)
class Curve:
    """Scores over time: centre of each window or frame (s from the start of the recording) and its p."""

    time_s: NDArray[np.float64]
    p: NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """Something that has a start and an end in a recording, and a word about it."""

    start_s: float
    end_s: float
    text: str = ""

    def within(self, start_s: float, end_s: float) -> bool:
        """Whether a part of it lies between two times."""
        return self.start_s < end_s and self.end_s > start_s


@dataclass(frozen=True)
class Sound:
    """The sound of a stretch: mono samples, their rate (Hz), and where the stretch starts and ends (s)."""

    samples: Samples
    rate: int
    start_s: float
    end_s: float


def read_sound(path: Path, start_s: float, end_s: float | None) -> Sound:
    """Read a stretch of a recording, clamped to the file; `end_s` None means its end.

    Raises
    ------
    InputError
        When nothing of the stretch lies in the recording, or the recording cannot be read.
    """
    info = probe(path)
    end_s = info.dur_s if end_s is None else min(end_s, info.dur_s)
    first, last = round(max(0.0, start_s) * info.sample_rate), round(end_s * info.sample_rate)
    if last <= first:
        raise InputError(
            f"{path}: nothing between {start_s:g} and {end_s:g} s; it is {info.dur_s:.3f} s long. Choose other times."
        )
    samples = np.nan_to_num(read_mono(path, first, last), posinf=0.0, neginf=0.0)
    return Sound(samples, info.sample_rate, first / info.sample_rate, last / info.sample_rate)


def find_scores(folder: Path, recording: str) -> Source:
    """Return the score track (or text log) of a recording in a folder.

    Raises
    ------
    InputError
        When there is none.
    """
    sources, _ = find_sources(folder, folder)
    found = [source for source in sources if names.composed(source.recording) == names.composed(recording)]
    if not found:
        known = listed(source.recording for source in sources)
        raise InputError(f"{folder}: no scores of {recording}; there are scores of: {known or 'nothing'}")
    return found[0]


def read_curve(source: Source, start_s: float, end_s: float) -> Curve:
    """Read the scores between two times; of a score track only the rows that are needed.

    p is that of the target with two classes, else the highest of the classes that are not noise.

    Raises
    ------
    TableError
        When the file cannot be read.
    """
    if source.is_log:
        windows = read_prediction(source).windows
        keep = (windows.end_s > start_s) & (windows.start_s < end_s)
        p = np.delete(windows.probs[keep], windows.noise, axis=1).max(axis=1)
        return Curve((windows.start_s[keep] + windows.end_s[keep]) / 2, p)
    meta = read_score_meta(source.path)
    ordered = sorted(meta.classes, key=lambda name: meta.classes[name])
    targets = [name for position, name in enumerate(ordered) if position != noise_index(ordered)]
    step_s, length_s = meta.step / meta.model_rate, meta.length / meta.model_rate
    offset_s = meta.first / meta.model_rate
    first = max(0, int((start_s - offset_s - length_s) / step_s))
    last = int((end_s - offset_s) / step_s) + 2
    try:
        with pq.ParquetFile(source.path, page_checksum_verification=True) as file:
            table = _rows(file, first, last, ["start_s", "end_s", *(f"prob_{name}" for name in targets)])
    except (pa.ArrowException, OSError) as error:
        raise damaged(source.path, error) from None
    start, end = (table[name].to_numpy() for name in ("start_s", "end_s"))
    p = np.max([table[f"prob_{name}"].to_numpy() for name in targets], axis=0)
    keep = (end > start_s) & (start < end_s)
    return Curve((start[keep] + end[keep]) / 2, p[keep].astype(np.float64))


def marks_within(marks: Iterable[Mark], start_s: float, end_s: float) -> list[Mark]:
    """Return the marks that share time with a stretch, in time order."""
    return sorted((mark for mark in marks if mark.within(start_s, end_s)), key=lambda m: (m.start_s, m.end_s, m.text))


def _rows(file: pq.ParquetFile, first: int, last: int, columns: list[str]) -> pa.Table:
    """Read the row groups that hold rows `first` to `last`; a row aligned to the end lies in the last group."""
    groups, row = [], 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if (row < last and row + rows > first) or group == file.metadata.num_row_groups - 1:
            groups.append(group)
        row += rows
    return file.read_row_groups(groups, columns=columns)
