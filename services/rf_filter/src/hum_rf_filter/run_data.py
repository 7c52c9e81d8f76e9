"""Candidates of runs as training rows: each stretch's features extracted once, labels and event counts beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hum_rf_filter.candidates import Candidate, Candidates, on_tape
from hum_rf_filter.extraction import Work, extract_all
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.recordings import fill_scores
from hum_rf_filter.tables import feature_table
from hum_rf_filter.training_data import NOISE, TARGET, Events, TrainingData, training_data
from hum_shared import names
from hum_shared.errors import AudioError, InputError
from hum_shared.progress import Progress
from hum_shared.selections import Selection

_Segment = tuple[float, float, float, float]


def candidate_data(candidates: Candidates, settings: FeatureSettings, workers: int, progress: Progress) -> TrainingData:
    """Return features and labels of all candidates.

    Raises
    ------
    AudioError
        When a recording cannot be read.
    TableError
        When a score track cannot be read.
    InputError
        When there is no candidate.
    """
    segments = {
        path: list(dict.fromkeys(_segment(one.selection) for one in rows))
        for path, rows in candidates.by_recording.items()
    }
    work = [
        Work(path.name, path, [Selection(*segment) for segment in of_recording])
        for path, of_recording in segments.items()
    ]
    if not work:
        raise InputError("no candidate lies in a recording that ground truth knows. Check --runs and --gt.")
    progress.total = sum(len(one.selections) for one in work)
    tables, tapes, times = [], [], []
    rows: list[Candidate] = []
    for extracted in extract_all(work, settings, workers):
        path = extracted.work.recording
        if extracted.features is None:
            raise AudioError(extracted.failure)
        found = candidates.by_recording[path]
        selections = [one.selection for one in found]
        place = {segment: row for row, segment in enumerate(segments[path])}
        features = extracted.features[[place[_segment(one)] for one in selections]]
        for scores in {one.scores for one in found if one.scores is not None}:
            of_track = [row for row, one in enumerate(found) if one.scores == scores]
            part = features[of_track]
            fill_scores(part, settings, [selections[row] for row in of_track], scores, path.name)
            features[of_track] = part
        tables.append(feature_table(path.name, list(range(1, len(found) + 1)), selections, features, settings))
        tapes.append(np.full(len(found), names.parse_recording(path.name).tape, dtype=object))
        times.append(on_tape(path.name, selections)[:, 0])
        rows += found
        progress.advance(len(extracted.work.selections), path.name)
    events = Events(
        in_runs=np.array([one.in_runs for one in rows]),
        matched=np.array([one.matched for one in rows]),
        calls=np.array([one.call for one in rows]),
        n_true=candidates.n_true,
    )
    return training_data(
        pd.concat(tables, ignore_index=True),
        np.where(events.matched > 0, TARGET, NOISE).astype(object),
        np.concatenate(tapes),
        np.concatenate(times),
        "runs",
        events,
    )


def _segment(selection: Selection) -> _Segment:
    return selection.begin_s, selection.end_s, selection.low_hz, selection.high_hz
