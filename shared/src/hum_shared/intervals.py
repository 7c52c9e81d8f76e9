"""Intervals in time: which overlap, by how much, and what they leave free.

An interval set is a float64 array of shape (n, 2), columns start and end in seconds, start ≤ end, in any
order unless said otherwise. An empty set has shape (0, 2).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Intervals = NDArray[np.float64]


def as_intervals(pairs: Iterable[tuple[float, float]]) -> Intervals:
    """Return pairs (start, end) as an interval set; none gives shape (0, 2)."""
    return np.array(list(pairs), dtype=np.float64).reshape(-1, 2)


def merged(intervals: Intervals) -> Intervals:
    """Return the union as sorted intervals that neither overlap nor touch."""
    if len(intervals) == 0:
        return intervals.reshape(0, 2)
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    opens = np.concatenate(([True], ordered[1:, 0] > reach[:-1]))
    closes = np.concatenate((opens[1:], [True]))
    return np.column_stack((ordered[opens, 0], reach[closes]))


def duration(intervals: Intervals) -> float:
    """Return how long the intervals are altogether; what several cover counts once."""
    return float(np.sum(np.diff(merged(intervals), axis=1)))


def intersection(a: Intervals, b: Intervals) -> Intervals:
    """Return the time that lies in both sets, as sorted intervals that neither overlap nor touch."""
    a, b = merged(a), merged(b)
    i, j, _ = overlapping_pairs(a, b)
    return merged(np.column_stack((np.maximum(a[i, 0], b[j, 0]), np.minimum(a[i, 1], b[j, 1]))))


def inside(times: NDArray[np.float64], intervals: Intervals) -> NDArray[np.bool_]:
    """Return which instants lie in an interval: at its start, but not at its end; shape of `times`."""
    edges = merged(intervals).ravel()
    return np.asarray(np.searchsorted(edges, times, side="right") % 2 == 1)


def gaps(intervals: Intervals, start: float, end: float) -> Intervals:
    """Return what `intervals` leave free of [start, end], sorted, without empty ones."""
    busy = merged(intervals)
    busy = np.clip(busy[(busy[:, 1] > start) & (busy[:, 0] < end)], start, end)
    edges = np.concatenate(([start], busy.ravel(), [end])).reshape(-1, 2)
    return edges[edges[:, 1] > edges[:, 0]]


def overlapping_pairs(a: Intervals, b: Intervals) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return all pairs that share time, without comparing everything with everything.

    Returns
    -------
    i, j : ndarray of int64, shape (k,)
        Rows of `a` and `b`, sorted by i.
    overlap : ndarray of float64, shape (k,)
        Shared seconds, > 0.
    """
    order = np.argsort(b[:, 0], kind="stable")
    starts, ends = b[order, 0], b[order, 1]
    # Behind `stop` every b starts too late; before `first` every b has ended.
    stop = np.searchsorted(starts, a[:, 1], side="left")
    first = np.searchsorted(np.maximum.accumulate(ends), a[:, 0], side="right")
    count = np.maximum(stop - first, 0)
    i = np.repeat(np.arange(len(a)), count)
    j = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    overlap = np.minimum(a[i, 1], ends[j]) - np.maximum(a[i, 0], starts[j])
    shared = overlap > 0
    return i[shared], order[j[shared]], overlap[shared]


def iou_pairs(a: Intervals, b: Intervals) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return all pairs that share time with their intersection over union, in (0, 1]."""
    i, j, overlap = overlapping_pairs(a, b)
    union = (a[i, 1] - a[i, 0]) + (b[j, 1] - b[j, 0]) - overlap
    return i, j, overlap / union


def best_iou(a: Intervals, b: Intervals) -> NDArray[np.float64]:
    """Return for each row of `a` its largest intersection over union with any row of `b`; 0 without one."""
    i, _, iou = iou_pairs(a, b)
    best = np.zeros(len(a))
    np.maximum.at(best, i, iou)
    return best
