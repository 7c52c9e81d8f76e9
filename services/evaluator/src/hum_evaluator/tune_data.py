"""What tuning looks at: the scores of all recordings and their calls, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hum_evaluator.tracks import Prediction
from hum_evaluator.truth import GroundTruth
from hum_shared.decoders.curve import Curve, above, joined, score_curve
from hum_shared.decoders.windows import Windows, log_odds
from hum_shared.errors import InputError
from hum_shared.heard import stretches
from hum_shared.intervals import Intervals, as_intervals, inside, intersection

_APART_S = 10_000.0  # no gap that is bridged, no shift, reaches over this
_SAME_S = 1e-3  # between lengths in names and in tracks
_ROWS_AT_MOST = 400_000
_TEMPERATURES = np.geomspace(0.25, 8.0, 61)


@dataclass(frozen=True)
class Material:
    """Scored recordings and their calls.

    Attributes
    ----------
    windows
        The scores of each recording.
    scored
        Which of its rows lie in what was scored and labelled; the others say noise.
    class_index
        The class that is tuned.
    offsets_s
        Where each recording lies on the common time axis.
    calls
        All calls on that axis, sorted, shape (n, 2).
    call_fold
        The fold of each call, shape (n,).
    recording_fold
        The fold of each recording: its tape, or a group of tapes where there are many.
    n_folds
        How many there are.
    """

    windows: tuple[Windows, ...]
    scored: tuple[NDArray[np.bool_], ...]
    class_index: int
    offsets_s: NDArray[np.float64]
    calls: Intervals
    call_fold: NDArray[np.int64]
    recording_fold: NDArray[np.int64]
    n_folds: int

    def fold_at(self, time_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the folds of instants on the common axis."""
        row = np.searchsorted(self.offsets_s - _APART_S / 2, time_s, side="right") - 1
        return self.recording_fold[np.clip(row, 0, len(self.recording_fold) - 1)]

    def curves(self, temperature: float, smoothing_s: float) -> list[Curve]:
        """Return the score curve of each recording."""
        return [score_curve(one, self.class_index, temperature, smoothing_s) for one in self.windows]

    def curve(self, curves: Sequence[Curve], floor: float) -> Curve:
        """Return the curves as one, without what lies below `floor`."""
        return joined([above(curve, floor) for curve in curves], self.offsets_s.tolist())


def collect_material(predictions: Sequence[Prediction], truth: GroundTruth, folds_at_most: int = 10) -> Material:
    """Put predictions and calls side by side.

    Parameters
    ----------
    predictions
        Of labelled recordings, each of a network with two classes.
    truth
        Their calls.
    folds_at_most
        More tapes than this share folds.

    Raises
    ------
    InputError
        When there are no calls in the recordings, or a network has more than two classes.
    """
    for one in predictions:
        if len(one.classes) != 2:
            raise InputError(
                f"{one.recording.name}: scores of {len(one.classes)} classes; the ground truth names no classes, so "
                "only networks with two can be tuned. Give decoder settings in the variant file."
            )
    predictions = [one for one in predictions if len(one.windows.start_s)]
    tapes = sorted({one.recording.tape for one in predictions})
    fold_of = {tape: number % folds_at_most for number, tape in enumerate(tapes)}
    offsets, calls, folds, scored, windows = [], [], [], [], []
    at_s = 0.0
    for one in predictions:
        info = one.recording
        offsets.append(at_s)
        found = truth.intervals(info.tape) - info.offset_s
        found = np.clip(found[(found[:, 1] > 0) & (found[:, 0] < info.dur_s)], 0, info.dur_s)
        known_s = judged_s(one, truth)
        found = found[inside(found.mean(axis=1), known_s)]
        scored.append(inside(np.minimum(one.windows.instant_s, np.nextafter(info.dur_s, 0)), known_s))
        windows.append(_silent(one.windows, ~scored[-1]))
        calls.append(found + at_s)
        folds += [fold_of[info.tape]] * len(found)
        at_s += info.dur_s + _APART_S
    merged = np.concatenate([as_intervals([]), *calls])
    if len(merged) == 0:
        raise InputError("the ground truth holds no call in the scored recordings; nothing can be tuned on them")
    order = np.lexsort((merged[:, 1], merged[:, 0]))
    return Material(
        windows=tuple(windows),
        scored=tuple(scored),
        class_index=1 - windows[0].noise,
        offsets_s=np.array(offsets),
        calls=merged[order],
        call_fold=np.array(folds, dtype=np.int64)[order],
        recording_fold=np.array([fold_of[one.recording.tape] for one in predictions], dtype=np.int64),
        n_folds=min(len(tapes), folds_at_most),
    )


def judged_s(one: Prediction, truth: GroundTruth) -> Intervals:
    """Return what was scored of a recording, and labelled, in seconds of the recording, shape (n, 2)."""
    info = one.recording
    scored = stretches(info)
    labelled = truth.labelled(info.tape)
    both = (scored if labelled is None else intersection(scored, labelled)) - info.offset_s
    return np.where(np.abs(both - info.dur_s) < _SAME_S, info.dur_s, both)


def _silent(windows: Windows, rows: NDArray[np.bool_]) -> Windows:
    """Return windows that say noise in these rows."""
    if not rows.any():
        return windows
    probs = windows.probs.copy()
    probs[rows] = np.eye(probs.shape[1])[windows.noise]
    return replace(windows, probs=probs)


def best_temperature(material: Material) -> float:
    """Return the temperature with which the scores of all rows are the likeliest given the calls.

    It minimises the mean log loss of scored rows (their centre lies in a call, or not), on at most 400,000 evenly
    spaced rows (Guo et al. 2017, "On calibration of modern neural networks").
    """
    odds, labels = [], []
    total = sum(int(rows.sum()) for rows in material.scored)
    every = max(1, -(-total // _ROWS_AT_MOST))
    for one, scored, offset in zip(material.windows, material.scored, material.offsets_s.tolist(), strict=True):
        rows = np.flatnonzero(scored)[::every]
        labels.append(inside(one.instant_s[rows] + offset, material.calls))
        odds.append(log_odds(one.probs[rows, material.class_index]))
    signed = np.where(np.concatenate(labels), 1.0, -1.0) * np.concatenate(odds)
    loss = [float(np.mean(np.logaddexp(0.0, -signed / temperature))) for temperature in _TEMPERATURES]
    return round(float(_TEMPERATURES[int(np.argmin(loss))]), 4)
