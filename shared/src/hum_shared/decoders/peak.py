"""Decoder `peak`: every prominent peak of the score is a selection; its edges lie at a share of its height.

Edges are relative, so calls that a network is less sure of keep their length. Two peaks are one selection when
the score between them stays at or above `edge_level` times the lower one (topological prominence, highest gap
first).
"""

from __future__ import annotations

import numpy as np

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import Candidates, bridged, groups_across_shallow_gaps
from hum_shared.decoders.curve import Curve, above, left_crossing, right_crossing
from hum_shared.decoders.windows import Integers

FAINTEST = 0.05
"""Lower peaks are no candidates."""


def peak(curve: Curve, settings: DecoderSettings) -> Candidates:
    """Return the candidates of a curve, before acceptance."""
    return bridged(peaks(curve, settings.edge_level), settings.min_gap_s)


def peaks(curve: Curve, share: float) -> Candidates:
    """Return the prominent peaks as candidates with edges at `share` of their height."""
    curve = above(curve, FAINTEST * share)
    score = curve.score
    rows = np.flatnonzero(np.append(True, np.diff(score) != 0))  # the first of equal neighbours
    value = score[rows]
    inner = value[1:-1]
    # Faint tops are no candidates but bound others: what lies beyond them belongs to nobody else.
    tops = np.flatnonzero((inner > value[:-2]) & (inner > value[2:])) + 1
    if len(tops) == 0:
        nothing = np.empty(0)
        return Candidates(nothing, nothing, nothing, nothing, nothing)
    top_rows, height = rows[tops], value[tops]
    # Between two tops lies their valley; the curve is 0 at both ends.
    valley = np.minimum.reduceat(score, top_rows)[:-1]

    def highest(first: Integers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.maximum.reduceat(height, first)

    groups = groups_across_shallow_gaps(valley, highest, lambda one, other, gap: gap >= share * np.minimum(one, other))
    group_height = highest(groups)
    # Each group owns the rows from the lowest one before it to the lowest one behind it.
    number = np.repeat(np.arange(len(groups)), np.diff(np.append(groups, len(tops))))
    between = np.flatnonzero(np.diff(number))
    deepest = _lowest_rows(score, top_rows[between], top_rows[between + 1])
    begin = np.concatenate(([0], deepest))
    owner = np.repeat(np.arange(len(groups)), np.diff(np.append(begin, len(score))))
    level = share * group_height
    high = score >= level[owner]
    index = np.arange(len(score))
    first = np.minimum.reduceat(np.where(high, index, len(score)), begin)
    last = np.maximum.reduceat(np.where(high, index, -1), begin)
    total = np.add.reduceat(np.where(high, curve.counting, 0.0), begin)
    count = np.add.reduceat(high.astype(np.float64), begin)
    found = Candidates(
        left_crossing(curve, first, level),
        right_crossing(curve, last, level),
        np.maximum.reduceat(curve.counting, begin),
        total / count,
        count,
    )
    return found[group_height >= FAINTEST]


def _lowest_rows(score: np.ndarray[tuple[int], np.dtype[np.float64]], first: Integers, stop: Integers) -> Integers:
    """Return the first row of the lowest score in each [first, stop)."""
    if len(first) == 0:
        return first
    bounds = np.column_stack((first, stop)).ravel()
    lowest = np.minimum.reduceat(score, bounds)[::2]
    length = stop - first
    rows = np.repeat(first - np.cumsum(length) + length, length) + np.arange(length.sum())
    at_lowest = score[rows] == np.repeat(lowest, length)
    starts = np.cumsum(length) - length
    return np.asarray(np.minimum.reduceat(np.where(at_lowest, rows, len(score)), starts), dtype=np.int64)
