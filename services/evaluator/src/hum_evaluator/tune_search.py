"""The search of tuning: trials judged by event F1, flat optima before sharp ones, plain before odd. Pure.

A setting's candidates are matched to the calls once for every IoU; how F1 depends on the confidence at which
they count then follows from running sums over the candidates in order of their evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from hum_evaluator.tune_data import Material
from hum_evaluator.tune_trials import BIN, IOUS, LARGEST, N_BINS, Axes, Counts, Trial, grid, met_spans, trials
from hum_shared.config.decoding import DecoderName, DecoderSettings
from hum_shared.decoders.union import union

_PLAIN = {"edge_level": 3, "step_s": 1, "merge_drop": 2}  # which value needs no reason; of the others the first
_EQUAL = 0.003  # of two settings whose mean F1 differs by less, the plainer one is taken
_SPREAD = 1.5  # log-odds by which the scores of another tape may well lie higher or lower; standard deviation
_NEAR = 5  # bins to either side of the best cut in which the highest F1 is looked for
_FREE = 0.001  # loss of expected F1 that a stricter cut may cost
_FLAT = 0.01  # loss of F1 that still belongs to the plateau
_REACH = float(np.log(0.7 / 0.3))  # log-odds from 0.5 to 0.7: between 0.3 and 0.7 results should hardly change

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plateau:
    """Where on the axis of evidence candidates should begin to count.

    Attributes
    ----------
    cut
        Log-odds: within the flat stretch, and not below 0, a probability of one half, unless the stretch is.
    low, high
        The ends of the flat stretch.
    f1
        F1 at each of `IOUS`, at `cut`.
    """

    cut: float
    low: float
    high: float
    f1: tuple[float, ...]


@dataclass(frozen=True)
class Tuned:
    """The best settings of one decoder.

    Attributes
    ----------
    settings
        Complete settings.
    plateau
        What they reach on the material.
    left_out
        F1 at each of `IOUS` where every tape was decoded with what the other tapes chose: setting, cut and shifts.
        (What is tried, and the temperature, come from all tapes; where their shifts differ, the others chose with those
        of all.) None where fewer than two tapes hold calls.
    n_settings
        How many were tried.
    table
        One row per setting: its grid values, and the objective.
    """

    settings: DecoderSettings
    plateau: Plateau
    left_out: tuple[float, ...] | None
    n_settings: int
    table: tuple[dict[str, float | str], ...]


def tune_decoder(decoder: DecoderName, material: Material, temperature: float) -> Tuned:
    """Return the best settings of a decoder other than `union`.

    The objective of a setting is the mean of F1 at `IOUS`, expected on tapes whose scores lie higher or lower than
    these by `_SPREAD`: rather some false alarms than a cut that keeps them out and leaves the calls no room. Among
    settings, the mean over a setting and its neighbours on the grid decides, so that the middle of a plateau wins
    over a spike; of those that are as good as the best one the plainest is taken. Starts and ends are shifted by that
    part of their signed errors which all folds share.

    Parameters
    ----------
    decoder
        `hysteresis`, `peak` or `change`.
    material
        Scores and calls of tapes that the network was not trained on.
    temperature
        Divides the scores' log-odds; see :func:`hum_evaluator.tune_data.best_temperature`.
    """
    axes = grid(decoder, material)
    tried = list(trials(decoder, axes, material, temperature))
    true = np.bincount(material.call_fold, minlength=material.n_folds)
    plainness = _plainness(axes)
    best, objectives = _choose(tried, plainness, true, np.ones(material.n_folds, dtype=bool))
    trial, plateau = tried[best], _plateau(tried[best], true, np.ones(material.n_folds, dtype=bool))
    room = min(plateau.cut - plateau.low, plateau.high - plateau.cut)
    scale = max(1.0, _REACH / max(room, BIN / 2))
    settings = DecoderSettings.model_validate(
        {
            "decoder": decoder,
            "temperature": temperature,
            **trial.values,
            "onset_shift_s": trial.shifts[0],
            "offset_shift_s": trial.shifts[1],
            "confidence_scale": round(scale, 4),
            "confidence_shift": round(plateau.cut, 4),
        }
    )
    left_out = _left_out(tried, plainness, true) if np.count_nonzero(true) > 1 else None
    table = tuple(
        {**one.values, "objective": round(float(value), 6)} for one, value in zip(tried, objectives, strict=True)
    )
    return Tuned(settings, plateau, left_out, len(tried), table)


def tune_union(material: Material) -> Tuned:
    """Return the best threshold of `union`, of equal ones that nearest to 0.5; see :func:`tune_decoder`."""
    thresholds = (*(round(step * 0.05, 2) for step in range(1, 20)), 0.97, 0.99, 0.995)
    true = np.bincount(material.call_fold, minlength=material.n_folds)
    predicted = np.zeros((len(thresholds), material.n_folds), dtype=np.int64)
    met = np.zeros((len(thresholds), len(IOUS), material.n_folds), dtype=np.int64)
    for row, threshold in enumerate(thresholds):
        parts = [
            np.column_stack((found.start_s, found.end_s)) + offset
            for one, offset in zip(material.windows, material.offsets_s.tolist(), strict=True)
            for found in [union(one, threshold)]
        ]
        spans = np.concatenate(parts)
        fold = material.fold_at(spans[:, 0])
        predicted[row] = np.bincount(fold, minlength=material.n_folds)
        for number, hit in enumerate(met_spans(material.calls, spans)):
            met[row, number] = np.bincount(fold[hit], minlength=material.n_folds)

    def chosen(folds: NDArray[np.bool_]) -> tuple[int, Floats]:
        f1 = _f1(met[:, :, folds].sum(axis=2), predicted[:, folds].sum(axis=1)[:, np.newaxis], true[folds].sum())
        flat = _neighbourhood(f1.mean(axis=1), 1)
        good = flat >= flat.max() - 1e-9
        return int(np.argmin(np.where(good, np.abs(np.array(thresholds) - 0.5), np.inf))), f1

    every = np.ones(material.n_folds, dtype=bool)
    best, f1 = chosen(every)
    means = f1.mean(axis=1)
    odds = float(np.log(thresholds[best] / (1 - thresholds[best])))
    plateau = Plateau(odds, odds, odds, tuple(map(float, f1[best])))
    left_out = None
    if np.count_nonzero(true) > 1:
        picks = [(fold, chosen(np.arange(material.n_folds) != fold)[0]) for fold in range(material.n_folds)]
        folds, rows = (np.array(part) for part in zip(*picks, strict=True))
        left_out = tuple(map(float, _f1(met[rows, :, folds].sum(axis=0), predicted[rows, folds].sum(), true.sum())))
    table: tuple[dict[str, float | str], ...] = tuple(
        {"threshold": threshold, "objective": round(float(value), 6)}
        for threshold, value in zip(thresholds, means, strict=True)
    )
    return Tuned(DecoderSettings(threshold=thresholds[best]), plateau, left_out, len(thresholds), table)


def _plainness(axes: Axes) -> Floats:
    """Return how far each setting of the grid is from the plain one, in steps of the grid; by axis, 0 to 1 each."""
    total = np.zeros(tuple(len(values) for values in axes.values()))
    for axis, (name, values) in enumerate(axes.items()):
        steps = np.abs(np.arange(len(values)) - min(_PLAIN.get(name, 0), len(values) - 1))
        along = [1] * total.ndim
        along[axis] = len(values)
        total += (steps / max(steps.max(), 1)).reshape(along)
    return total


def _choose(tried: Sequence[Trial], plainness: Floats, true: Counts, folds: NDArray[np.bool_]) -> tuple[int, Floats]:
    """Return the plainest trial on the best plateau of the grid, and the objective of each."""
    objectives = np.array([_objective(trial, true, folds) for trial in tried])
    flat = objectives.reshape(plainness.shape)
    for axis in range(flat.ndim - 1):  # the last axis has no order
        flat = _neighbourhood(flat, 1, axis)
    # A good neighbourhood, and good itself.
    good = (flat >= flat.max() - _EQUAL) & (objectives.reshape(flat.shape) >= flat.max() - _EQUAL)
    good[np.unravel_index(np.argmax(flat), flat.shape)] = True
    return int(np.argmin(np.where(good, plainness, np.inf))), objectives


def _objective(trial: Trial, true: Counts, folds: NDArray[np.bool_]) -> float:
    """Return the expected F1 at the cut that would be taken."""
    expected, row = _cut(_f1_of_cuts(trial, true, folds), trial.counts.predicted[folds].sum(axis=0))[:2]
    return float(expected[row])


def _f1_of_cuts(trial: Trial, true: Counts, folds: NDArray[np.bool_]) -> Floats:
    """Return F1 by IoU and cut: candidates of that bin's evidence or more count; shape (IoUs, bins)."""
    predicted = trial.counts.predicted[folds].sum(axis=0)[::-1].cumsum()[::-1]
    met = trial.counts.met[:, folds].sum(axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return _f1(met, predicted, true[folds].sum())


def _plateau(trial: Trial, true: Counts, folds: NDArray[np.bool_]) -> Plateau:
    """Return the flat stretch of cuts around the best one, and the cut within it."""
    f1 = _f1_of_cuts(trial, true, folds)
    _, row, low, high = _cut(f1, trial.counts.predicted[folds].sum(axis=0))
    cut, lowest, highest = (number * BIN - LARGEST for number in (row, low, high))
    return Plateau(cut, lowest, highest, tuple(map(float, f1[:, row])))


def _cut(f1: Floats, predicted: Counts) -> tuple[Floats, int, int, int]:
    """Return the expected F1 of each cut, the cut to take, and the ends of the flat stretch it lies in.

    Of cuts whose expected F1 is within `_FREE` of the best, the highest is taken, but none below a probability of one
    half if that lies inside: recordings to search hold sounds that these tapes do not, which can only add false alarms.
    The cut keeps `_REACH` from the ends.
    """
    mean = f1.mean(axis=0)
    half = round(LARGEST / BIN)
    if not mean.any():  # nothing is found at any cut, as where these tapes hold no calls
        return mean, half, half, half
    expected = gaussian_filter1d(mean, _SPREAD / BIN, mode="nearest")
    top = int(np.argmax(expected))
    good = mean >= mean[max(top - _NEAR, 0) : top + _NEAR + 1].max() - _FLAT
    low = high = top if good[top] else int(np.argmax(mean))
    while low > 0 and good[low - 1]:
        low -= 1
    while high < N_BINS - 1 and good[high + 1]:
        high += 1
    # Nothing is left above the most certain candidate: the stretch ends there. Below the least certain one it goes on.
    seen = np.flatnonzero(predicted)
    if len(seen):
        high = max(low, min(high, int(seen[-1])))
    margin = min(round(_REACH / BIN), (high - low) // 2)
    half = int(np.clip(half, low + margin, high - margin))
    inside = expected[low : high + 1]
    strictest = low + int(np.flatnonzero(inside >= inside.max() - _FREE)[-1])
    row = min(max(half, strictest), high - margin)
    return expected, row, low, high


def _left_out(tried: Sequence[Trial], plainness: Floats, true: Counts) -> tuple[float, ...]:
    """Return F1 at each of `IOUS` with settings and cut for every fold chosen on the other ones."""
    met, predicted = np.zeros(len(IOUS), dtype=np.int64), 0
    for fold in range(len(true)):
        others = np.arange(len(true)) != fold
        row, _ = _choose(tried, plainness, true, others)
        cut = round((_plateau(tried[row], true, others).cut + LARGEST) / BIN)
        met += tried[row].apart.met[:, fold, cut:].sum(axis=1)
        predicted += int(tried[row].apart.predicted[fold, cut:].sum())
    return tuple(map(float, _f1(met, predicted, true.sum())))


def _f1(met: NDArray[np.int64], predicted: NDArray[np.int64] | int, true: int) -> Floats:
    total = np.asarray(predicted + true, dtype=np.float64)
    return np.asarray(np.divide(2.0 * met, total, out=np.zeros(np.broadcast(met, total).shape), where=total > 0))


def _neighbourhood(values: Floats, reach: int, axis: int = 0) -> Floats:
    """Return means over each value and `reach` neighbours to either side along an axis; ends are mirrored.

    So a value at the rim is judged by what lies inside: it wins only when that is good as well.
    """
    n = values.shape[axis]
    widths = [(reach, reach) if number == axis else (0, 0) for number in range(values.ndim)]
    padded = np.pad(values, widths, mode="reflect" if n > 1 else "edge")
    total = sum(np.take(padded, np.arange(shift, shift + n), axis=axis) for shift in range(2 * reach + 1))
    return np.asarray(total / (2 * reach + 1), dtype=np.float64)
