"""Matching by collars: a detection meets a call when its start and its end lie near enough."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from hum_shared.intervals import Intervals
from hum_shared.matching import Pairs

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
        Rows of `calls` and `detections`, sorted by i; which of several equally large sets is not said.
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
    # Sparse, as calls in quick succession reach into each other's collars all along the tape.
    graph = csr_array((np.ones(near.sum(), dtype=np.int8), (i[near], j[near])), shape=(len(calls), len(detections)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    met = np.flatnonzero(partner >= 0)
    return met, partner[met].astype(np.int64)
