"""What tuning tries: settings on a grid, and how often the candidates of each meet a call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_evaluator.tune_data import Material
from hum_shared.config.decoding import DecoderName, DecoderSettings
from hum_shared.decoders.candidates import Candidates, bridged, evidence, moved
from hum_shared.decoders.change import boxes, boxes_of_all, joined_boxes
from hum_shared.decoders.hysteresis import stretches, with_weak
from hum_shared.decoders.peak import FAINTEST, peaks
from hum_shared.intervals import Intervals, iou_pairs
from hum_shared.matching import best_pairs

IOUS = (0.3, 0.4, 0.5, 0.7)
BIN = 0.1
"""Width of a bin of evidence, log-odds."""
LARGEST = 13.9
"""Upper end of the bins: log-odds of 1 − 1e-6, rounded up."""
N_BINS = round(2 * LARGEST / BIN) + 1

Axes = Mapping[str, tuple[float | str, ...]]
Counts = NDArray[np.int64]

_EDGE_LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_LAXEST = 0.25
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Met:
    """How many candidates of each evidence there are, and how many of them meet a call.

    `predicted` has shape (folds, bins), `met` (IoUs, folds, bins).
    """

    predicted: Counts
    met: Counts


@dataclass(frozen=True)
class Trial:
    """One setting, and how its candidates meet the calls.

    Attributes
    ----------
    values
        Of the grid.
    shifts
        What all folds share of the errors of starts and ends, s.
    counts
        With these shifts.
    apart
        Every fold with what the other ones share.
    """

    values: Mapping[str, float | str]
    shifts: tuple[float, float]
    counts: Met
    apart: Met


def grid(decoder: DecoderName, material: Material) -> dict[str, tuple[float | str, ...]]:
    """Return the values that are tried, by setting; times are shares of what the calls are like."""
    durations = material.calls[:, 1] - material.calls[:, 0]
    usual, short = float(np.median(durations)), float(np.quantile(durations, 0.05))
    pauses = material.calls[1:, 0] - material.calls[:-1, 1]
    pauses = pauses[(pauses > 0) & (pauses < 5_000)]
    pause = min(float(np.quantile(pauses, 0.05)), usual) if len(pauses) else usual
    steps_s = [float(np.median(np.diff(one.instant_s))) for one in material.windows if len(one.start_s) > 1]
    row_s = max(steps_s, default=usual)
    smoothing = _rounded({0.0} | {usual * share for share in (0.05, 0.1, 0.2, 0.35) if usual * share >= 2 * row_s})
    min_gap = _rounded(pause * share for share in (0, 0.25, 0.5, 0.9))
    min_duration = _rounded(short * share for share in (0, 0.25, 0.5, 0.75))
    sources = ("peak", "mean")
    if decoder == "change":
        steps = _rounded(max(usual * share, row_s) for share in (0.1, 0.2, 0.35, 0.6))
        return {
            "smoothing_s": smoothing[:3],
            "step_s": steps,
            "merge_drop": (0.1, 0.2, 0.3, 0.45, 0.6),
            "min_duration_s": min_duration,
            "confidence_from": sources,
        }
    return {
        "smoothing_s": smoothing,
        "edge_level": _EDGE_LEVELS,
        "min_gap_s": min_gap,
        "min_duration_s": min_duration,
        "confidence_from": sources,
    }


def trials(decoder: DecoderName, axes: Axes, material: Material, temperature: float) -> Iterator[Trial]:
    """Yield the trials of the whole grid, in the order of its axes; what settings share is computed once."""
    names = tuple(axes)
    for smoothing_s in axes[names[0]]:
        curves = material.curves(temperature, float(smoothing_s))
        whole = None if decoder == "change" else material.curve(curves, FAINTEST * min(_EDGE_LEVELS))
        for second in axes[names[1]]:
            boxed = base = weak = None
            if whole is None:
                offsets = material.offsets_s.tolist()
                boxed = boxes_of_all([boxes(curve, float(second)) for curve in curves], offsets)
            elif decoder == "peak":
                base = peaks(whole, float(second))
            else:
                base = stretches(whole, float(second))
                if float(second) > _LAXEST:
                    # What counts below the level of the edges, as far as thresholds are likely to go.
                    weak = stretches(whole, _LAXEST * float(second))
            for third in axes[names[2]]:
                if boxed is not None:
                    found = joined_boxes(boxed, float(third))
                else:
                    assert base is not None
                    found = bridged(base, float(third))
                    found = found if weak is None else with_weak(found, weak, _LAXEST)
                fixed = {names[0]: smoothing_s, names[1]: second, names[2]: third}
                yield from _endings(found, fixed, axes, material, decoder)


def _endings(
    found: Candidates,
    fixed: Mapping[str, float | str],
    axes: Axes,
    material: Material,
    decoder: DecoderName,
) -> Iterator[Trial]:
    """Yield the trials that differ in the shortest duration and in what evidence is made of."""
    folds, errors_s = _fold_errors(material, found)
    shifts = _shared(errors_s)
    counts = _counts(moved(found, *shifts), material.calls, axes, material, decoder)
    apart = counts
    fold = material.fold_at(found.start_s)
    for one in range(material.n_folds):
        others = _shared(errors_s[folds != one])
        if others != shifts:
            calls = material.calls[material.call_fold == one]
            own = _counts(moved(found[fold == one], *others), calls, axes, material, decoder)
            apart = {ending: _with_fold(known, own[ending], one) for ending, known in apart.items()}
    for (shortest_s, source), met in counts.items():
        values = {**fixed, "min_duration_s": shortest_s, "confidence_from": source}
        yield Trial(values, shifts, met, apart[shortest_s, source])


def _counts(
    shifted: Candidates, calls: Intervals, axes: Axes, material: Material, decoder: DecoderName
) -> dict[tuple[float | str, float | str], Met]:
    """Return how candidates meet calls, by shortest duration and by what evidence is made of."""
    spans = np.column_stack((shifted.start_s, shifted.end_s))
    i, j, iou = iou_pairs(calls, spans)
    fold = material.fold_at(shifted.start_s)
    duration_s = shifted.end_s - shifted.start_s
    bins = {
        source: _bins(
            evidence(shifted, DecoderSettings.model_validate({"decoder": decoder, "confidence_from": source}))
        )
        for source in axes["confidence_from"]
    }
    found = {}
    for shortest_s in axes["min_duration_s"]:
        kept = duration_s >= float(shortest_s) - _TOLERANCE
        allowed = kept[j]
        hits = _hits(len(calls), len(spans), i[allowed], j[allowed], iou[allowed])
        for source in axes["confidence_from"]:
            cell = fold * N_BINS + bins[source]
            size = material.n_folds * N_BINS
            predicted = np.bincount(cell[kept], minlength=size).reshape(material.n_folds, N_BINS)
            met = np.stack([np.bincount(cell[hit], minlength=size).reshape(material.n_folds, N_BINS) for hit in hits])
            found[shortest_s, source] = Met(predicted, met)
    return found


def _with_fold(all_folds: Met, own: Met, fold: int) -> Met:
    """Return counts with those of one fold taken from others."""
    predicted, met = all_folds.predicted.copy(), all_folds.met.copy()
    predicted[fold], met[:, fold] = own.predicted[fold], own.met[:, fold]
    return Met(predicted, met)


def _fold_errors(material: Material, found: Candidates) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the folds in which calls are found, and the signed errors of starts and ends in each, s; shape (n, 2).

    A fold's error is the median over pairs with an IoU of at least 0.3.
    """
    calls, spans = material.calls, np.column_stack((found.start_s, found.end_s))
    i, j, iou = iou_pairs(calls, spans)
    near = iou >= IOUS[0]
    i, j = best_pairs(len(calls), len(spans), i[near], j[near], iou[near])
    errors, fold = calls[i] - spans[j], material.call_fold[i]
    folds = np.unique(fold)
    return folds, np.array([np.median(errors[fold == one], axis=0) for one in folds]).reshape(-1, 2)


def _shared(errors_s: NDArray[np.float64]) -> tuple[float, float]:
    """Return what to add to starts and ends: that part of the folds' errors which all of them share.

    What one tape needs and another does not is no property of the network: of errors of one sign the smallest is
    taken, of errors of both signs none.
    """
    if len(errors_s) == 0:
        return 0.0, 0.0
    onset, offset = np.where(
        np.all(errors_s > 0, axis=0),
        errors_s.min(axis=0),
        np.where(np.all(errors_s < 0, axis=0), errors_s.max(axis=0), 0.0),
    )
    return round(float(onset), 6), round(float(offset), 6)


def met_spans(calls: Intervals, spans: Intervals) -> list[NDArray[np.int64]]:
    """Return for each of `IOUS` which spans are matched to a call."""
    i, j, iou = iou_pairs(calls, spans)
    return _hits(len(calls), len(spans), i, j, iou)


def _hits(
    n_calls: int, n_spans: int, i: NDArray[np.int64], j: NDArray[np.int64], iou: NDArray[np.float64]
) -> list[NDArray[np.int64]]:
    """Return for each of `IOUS` which spans are matched."""
    found = []
    for least in IOUS:
        enough = iou >= least - _TOLERANCE
        found.append(best_pairs(n_calls, n_spans, i[enough], j[enough], iou[enough])[1])
    return found


def _bins(odds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(np.floor((odds + LARGEST) / BIN), 0, N_BINS - 1).astype(np.int64)


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted({round(value, 4) for value in values}))
