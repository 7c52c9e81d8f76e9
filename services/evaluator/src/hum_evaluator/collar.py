"""Matching by collars: a detection meets a call when its start and its end lie near enough."""

from __future__ import annotations

import numpy as np

from hum_shared.intervals import Intervals
from hum_shared.matching import Pairs, best_pairs

COLLAR_S = 0.2
SHARE_OF_LENGTH = 0.2

_TOLERANCE = 1e-9


def collar_match(calls: Intervals, detections: Intervals) -> Pairs:
    """Pair calls and detections of one tape, one to one, as many as possible.

    A pair is allowed when the starts differ by at most 200 ms and the ends by at most 200 ms or 20 % of the call,
    whichever is more (Mesaros et al. 2016, "Metrics for polyphonic sound event detection"; as in `sed_eval`).

    Parameters
    ----------
    calls, detections
        Interval sets on the same time axis.

    Returns
    -------
    i, j : ndarray of int64, shape (k,)
        Rows of `calls` and `detections`, sorted by i.
    """
    order = np.argsort(detections[:, 0], kind="stable")
    starts = detections[order, 0]
    first = np.searchsorted(starts, calls[:, 0] - COLLAR_S - _TOLERANCE, side="left")
    stop = np.searchsorted(starts, calls[:, 0] + COLLAR_S + _TOLERANCE, side="right")
    count = stop - first
    i = np.repeat(np.arange(len(calls)), count)
    j = order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)]
    allowed_s = np.maximum(COLLAR_S, SHARE_OF_LENGTH * (calls[i, 1] - calls[i, 0]))
    off_s = np.abs(calls[i, 1] - detections[j, 1])
    near = off_s <= allowed_s + _TOLERANCE
    i, j = i[near], j[near]
    # Among equally many pairs the nearest ones: only which pairs there are depends on it, not how many.
    distance = np.abs(calls[i, 0] - detections[j, 0]) / COLLAR_S + off_s[near] / allowed_s[near]
    return best_pairs(len(calls), len(detections), i, j, np.clip(1 - distance / 2, 0, 1))
