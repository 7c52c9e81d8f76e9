"""Decoder `change`: selections begin where the score rises most and end where it falls most.

Sound event bounding boxes by change-point detection (Ebbers, Germain, Wichern, Le Roux 2024, "Sound event bounding
boxes", doi 10.21437/Interspeech.2024-2075): a step filter compares the mean score behind an instant with that before
it; its maxima and minima alternate as onsets and offsets; neighbouring boxes join where the score hardly drops
between them. A box counts by its mean score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import Candidates, bridged, groups_across_shallow_gaps
from hum_shared.decoders.curve import Curve
from hum_shared.decoders.windows import Floats, Integers

_QUIET = 0.05  # boxes whose mean score is lower are no candidates
_EQUAL = 1e-9  # between differences of running sums


@dataclass(frozen=True)
class Boxes:
    """Boxes of one recording before they are joined, in time order.

    Attributes
    ----------
    start_s, end_s
        Shape (n,), interpolated.
    first, stop
        The rows of each box, [first, stop).
    sums
        Running sum of the scores, shape (rows + 1,).
    peak
        Shape (n,).
    apart
        Boxes that never join the one before: the first of every recording, shape (n,).
    """

    start_s: Floats
    end_s: Floats
    first: Integers
    stop: Integers
    sums: Floats
    peak: Floats
    apart: NDArray[np.bool_]


def change(curve: Curve, settings: DecoderSettings) -> Candidates:
    """Return the candidates of a recording's curve, before acceptance."""
    return bridged(joined_boxes(boxes(curve, settings.step_s), settings.merge_drop), settings.min_gap_s)


def boxes(curve: Curve, step_s: float) -> Boxes:
    """Return the boxes between alternate extremes of the step filter of half-length `step_s`."""
    score, counting = curve.score[2:-2], curve.counting[2:-2]  # the windows themselves; rows lie evenly
    n = len(score)
    half = max(1, min(round(step_s / curve.step_s), n)) if curve.step_s > 0 else 1
    sums = np.concatenate(([0.0], np.cumsum(counting)))
    # Outside the recording the score counts as 0; difference k compares [k, k + half) with [k − half, k).
    spread = np.concatenate((np.zeros(half), np.concatenate(([0.0], np.cumsum(score))), np.full(half, score.sum())))
    difference = (spread[2 * half :] - 2 * spread[half:-half] + spread[: -2 * half]) / half
    sign = np.where(difference > _EQUAL, 1, np.where(difference < -_EQUAL, -1, 0))
    known = np.maximum.accumulate(np.where(sign != 0, np.arange(n + 1), 0))
    sign = sign[known]  # where nothing changes, the change before goes on
    turns = np.flatnonzero(np.append(True, np.diff(sign) != 0))
    rising = sign[turns] > 0
    if not rising.any():
        nothing, none = np.empty(0), np.empty(0, dtype=np.int64)
        return Boxes(nothing, nothing, none, none, sums, nothing, np.empty(0, dtype=bool))
    extreme = _extreme_rows(difference, turns)
    # Alternate from the first rise to the last fall.
    start_at = int(np.argmax(rising))
    onset, offset = extreme[start_at::2], extreme[start_at + 1 :: 2]
    onset = onset[: len(offset)]
    start_s, end_s = _refined(curve, difference, onset), _refined(curve, difference, offset)
    long = (offset > onset) & (end_s > start_s)
    loud = np.zeros(len(onset), dtype=bool)
    loud[long] = (sums[offset[long]] - sums[onset[long]]) / (offset[long] - onset[long]) >= _QUIET
    onset, offset, start_s, end_s = onset[loud], offset[loud], start_s[loud], end_s[loud]
    padded = np.append(counting, 0.0)
    bounds = np.column_stack((onset, offset)).ravel()
    peak = np.maximum.reduceat(padded, bounds)[::2] if len(onset) else np.empty(0)
    return Boxes(start_s, end_s, onset, offset, sums, peak, np.arange(len(onset)) == 0)


def boxes_of_all(parts: Sequence[Boxes], offsets_s: Sequence[float]) -> Boxes:
    """Return the boxes of several recordings as one, each recording moved by its offset."""
    rows = np.cumsum([0, *(len(part.sums) - 1 for part in parts)])
    totals = np.cumsum([0.0, *(part.sums[-1] for part in parts)])
    return Boxes(
        np.concatenate([part.start_s + offset for part, offset in zip(parts, offsets_s, strict=True)]),
        np.concatenate([part.end_s + offset for part, offset in zip(parts, offsets_s, strict=True)]),
        np.concatenate([part.first + before for part, before in zip(parts, rows[:-1], strict=True)]),
        np.concatenate([part.stop + before for part, before in zip(parts, rows[:-1], strict=True)]),
        np.concatenate([[0.0], *(part.sums[1:] + total for part, total in zip(parts, totals[:-1], strict=True))]),
        np.concatenate([part.peak for part in parts]),
        np.concatenate([part.apart for part in parts]),
    )


def joined_boxes(found: Boxes, merge_drop: float) -> Candidates:
    """Return boxes with those joined between which the score drops by less than `merge_drop`, from either of them.

    So a call does not take in what is faint beside it, which would take its mean score away.
    """
    n = len(found.first)
    if n == 0:
        nothing = np.empty(0)
        return Candidates(nothing, nothing, nothing, nothing, nothing)

    def mean(first: Integers) -> Floats:
        begin, stop = found.first[first], found.stop[np.append(first[1:], n) - 1]
        return np.asarray((found.sums[stop] - found.sums[begin]) / (stop - begin), dtype=np.float64)

    gap_rows = found.first[1:] - found.stop[:-1]
    total = found.sums[found.first[1:]] - found.sums[found.stop[:-1]]
    gap = np.divide(total, gap_rows, out=np.ones(n - 1), where=gap_rows > 0)
    gap[found.apart[1:]] = -1.0  # a drop of more than 1
    groups = groups_across_shallow_gaps(
        gap, mean, lambda one, other, between: np.maximum(one, other) - between < merge_drop
    )
    last = np.append(groups[1:], n) - 1
    return Candidates(
        found.start_s[groups],
        found.end_s[last],
        np.maximum.reduceat(found.peak, groups),
        mean(groups),
        (found.stop[last] - found.first[groups]).astype(np.float64),
    )


def _extreme_rows(difference: Floats, turns: Integers) -> Integers:
    """Return where each run between two turns has its largest absolute difference.

    A call that is shorter than the filter is within it for as long as the difference reaches: of equals it begins at
    the last of a rise, and ends at the first of a fall.
    """
    size = np.abs(difference)
    largest = np.maximum.reduceat(size, turns)
    length = np.diff(np.append(turns, len(size)))
    at_largest = size >= np.repeat(largest, length) - _EQUAL
    row = np.arange(len(size))
    first = np.minimum.reduceat(np.where(at_largest, row, len(size)), turns)
    last = np.maximum.reduceat(np.where(at_largest, row, -1), turns)
    return np.asarray(np.where(difference[first] > 0, last, first), dtype=np.int64)


def _refined(curve: Curve, difference: Floats, row: Integers) -> Floats:
    """Return the times of extremes, by a parabola through each and its two neighbours."""
    inner = np.clip(row, 1, len(difference) - 2) if len(difference) > 2 else row
    before, at, behind = (np.abs(difference)[np.clip(inner + by, 0, len(difference) - 1)] for by in (-1, 0, 1))
    bend = before - 2 * at + behind
    moved = np.divide(0.5 * (before - behind), bend, out=np.zeros(len(row)), where=bend < 0)
    position = row + np.where(inner == row, np.clip(moved, -0.5, 0.5), 0.0)
    first_s = curve.time_s[2] - curve.step_s / 2
    return np.asarray(np.clip(first_s + position * curve.step_s, curve.time_s[0], curve.time_s[-1]), dtype=np.float64)
