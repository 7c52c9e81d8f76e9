"""Candidates of many runs as training rows: labelled by how well they match true hums.

The same stretch of a recording is a candidate in many runs; its features are extracted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.extraction import Work, extract_all
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.tables import feature_table, is_annotation_table, read_table, recording_of_table
from hum_rf_filter.training_data import NOISE, TARGET, TrainingData, training_data
from hum_shared import names
from hum_shared.errors import AudioError, InputError
from hum_shared.index import CorpusIndex
from hum_shared.intervals import Intervals, as_intervals, best_iou
from hum_shared.progress import Progress
from hum_shared.recordings import RecordingFolder
from hum_shared.selections import Selection

MIN_IOU = 0.4
"""A candidate that matches a true hum at least this well is a target."""

_Segment = tuple[float, float, float, float]
_Candidate = tuple[float, float, float, float, float | None]


@dataclass(frozen=True)
class Candidates:
    """The distinct selections of all runs.

    Attributes
    ----------
    by_recording
        Recording's file → its selections in time order.
    warnings
        What was left out, one line each.
    """

    by_recording: Mapping[Path, Sequence[Selection]]
    warnings: Sequence[str] = field(default_factory=tuple)


def find_tables(runs: Path) -> list[Path]:
    """Return the annotation tables of every `…/evaluation/annotations/` below a folder, sorted.

    Raises
    ------
    InputError
        When there are none.
    """
    if not runs.is_dir():
        raise InputError(f"{runs}: no such folder; --runs must be the folder of <model>/<variant>/ runs")
    folders = [path for path in runs.rglob("annotations") if path.parent.name == "evaluation" and path.is_dir()]
    tables = [path for folder in folders for path in folder.iterdir() if is_annotation_table(path.name)]
    if not tables:
        raise InputError(f"{runs}: no evaluation/annotations/ with tables below it. Run hum-evaluator first.")
    return sorted(tables)


def find_candidates(tables: Sequence[Path], recordings: RecordingFolder, truth: CorpusIndex) -> Candidates:
    """Return the distinct selections of all tables that lie where ground truth is known.

    Raises
    ------
    HumError
        When a table or its recording cannot be found or read: a forest trained on the rest would be another one.
    """
    labelled = _labelled_stretches(truth)
    found: dict[Path, dict[_Candidate, Selection]] = defaultdict(dict)
    unknown: dict[str, int] = defaultdict(int)
    for table in tables:
        rows = read_table(table)
        if not rows:
            continue
        path = recordings.find(recording_of_table(table.name))
        if names.parse_recording(path.name).tape not in labelled:
            unknown[path.name] += len(rows)
            continue
        for row in rows:
            found[path].setdefault((*_segment(row.selection), row.selection.cnn_logit_mean), row.selection)
    by_recording = {}
    outside = 0
    for path in sorted(found):
        selections = sorted(found[path].values(), key=_order)
        inside = _inside(on_tape(path.name, selections), labelled[names.parse_recording(path.name).tape])
        outside += int(np.count_nonzero(~inside))
        by_recording[path] = [one for one, kept in zip(selections, inside, strict=True) if kept]
    warnings = []
    if unknown:
        listed = ", ".join(sorted(unknown)[:3]) + (" …" if len(unknown) > 3 else "")
        warnings.append(f"{sum(unknown.values())} candidates in recordings that ground truth does not know: {listed}")
    if outside:
        warnings.append(f"{outside} candidates outside the labelled parts of their tapes are left out")
    return Candidates({path: rows for path, rows in by_recording.items() if rows}, warnings)


def labels_of(recording: str, selections: Sequence[Selection], truth: CorpusIndex) -> NDArray[np.object_]:
    """Return `target` where a selection's best IoU with a true hum of its tape, on tape time, is at least 0.4.

    Returns
    -------
    ndarray of str, shape (n,)
        `noise` elsewhere.
    """
    tape = names.parse_recording(recording).tape
    hums = as_intervals((hum.raw_start_s, hum.raw_end_s) for hum in truth.entries if hum.tape == tape)
    return np.where(best_iou(on_tape(recording, selections), hums) >= MIN_IOU, TARGET, NOISE).astype(object)


def on_tape(recording: str, selections: Sequence[Selection]) -> Intervals:
    """Return selections of a recording as intervals of tape time."""
    offset_s = names.parse_recording(recording).offset_s
    return as_intervals((offset_s + one.begin_s, offset_s + one.end_s) for one in selections)


def candidate_data(
    candidates: Candidates, truth: CorpusIndex, settings: FeatureSettings, workers: int, progress: Progress
) -> TrainingData:
    """Return features and labels of all candidates.

    Raises
    ------
    AudioError
        When a recording cannot be read.
    """
    segments = {path: list(dict.fromkeys(map(_segment, rows))) for path, rows in candidates.by_recording.items()}
    work = [
        Work(path.name, path, [Selection(*segment) for segment in of_recording])
        for path, of_recording in segments.items()
    ]
    progress.total = sum(len(one.selections) for one in work)
    tables, labels, tapes, times = [], [], [], []
    for extracted in extract_all(work, settings, workers):
        path = extracted.work.recording
        if extracted.features is None:
            raise AudioError(extracted.failure)
        rows = candidates.by_recording[path]
        place = {segment: row for row, segment in enumerate(segments[path])}
        features = extracted.features[[place[_segment(one)] for one in rows]]
        tables.append(feature_table(path.name, list(range(1, len(rows) + 1)), rows, features, settings))
        labels.append(labels_of(path.name, rows, truth))
        tapes.append(np.full(len(rows), names.parse_recording(path.name).tape, dtype=object))
        times.append(on_tape(path.name, rows)[:, 0])
        progress.advance(len(extracted.work.selections), path.name)
    if not tables:
        raise InputError("no candidate lies in a recording that ground truth knows. Check --runs and --gt.")
    return training_data(
        pd.concat(tables, ignore_index=True),
        np.concatenate(labels),
        np.concatenate(tapes),
        np.concatenate(times),
        "runs",
    )


def _segment(selection: Selection) -> _Segment:
    return selection.begin_s, selection.end_s, selection.low_hz, selection.high_hz


def _order(selection: Selection) -> tuple[float, ...]:
    logit = selection.cnn_logit_mean
    return (*_segment(selection), -np.inf if logit is None else logit)


def _labelled_stretches(truth: CorpusIndex) -> dict[str, Intervals | None]:
    """Return for each tape the parts of it that were labelled; None where the index does not say: all of it."""
    stretches: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for info in truth.meta.recordings or ():
        stretches[info.tape].append((info.offset_s, info.offset_s + info.dur_s))
    tapes = {entry.tape for entry in truth.entries} | set(stretches)
    return {tape: as_intervals(stretches[tape]) if tape in stretches else None for tape in tapes}


def _inside(intervals: Intervals, stretches: Intervals | None) -> NDArray[np.bool_]:
    """Return which intervals have their middle in one of the stretches."""
    if stretches is None:
        return np.ones(len(intervals), dtype=bool)
    middle = intervals.mean(axis=1)[:, np.newaxis]
    return np.asarray(((stretches[:, 0] <= middle) & (middle <= stretches[:, 1])).any(axis=1))
