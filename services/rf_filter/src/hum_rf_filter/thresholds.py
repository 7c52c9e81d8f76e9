"""Thresholds on a forest's probability: rules for where to cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hum_rf_filter.training_data import Events

UNDECIDED = 0.50

_SAME = 1e-12  # two F values that differ by rounding alone are a tie


def recall_first_threshold(labels: ArrayLike, probs: ArrayLike, floor: float) -> float:
    """Return the threshold with the fewest false positives among those whose recall is at least `floor`.

    Ties go to the higher threshold. A row counts as found when its probability is at least the threshold, so
    every useful threshold is one of the probabilities.

    Parameters
    ----------
    labels
        1 (or True) for targets, 0 for noise, shape (n,).
    probs
        Probability of the target, shape (n,).
    floor
        Least share of targets to be found, in [0, 1].

    Returns
    -------
    float
        0.50 when no threshold reaches the floor, as without any target.
    """
    thresholds, found, false = _counts(labels, probs)
    targets = np.count_nonzero(labels)
    if not targets:
        return UNDECIDED
    reaches = found / targets >= floor
    if not reaches.any():
        return UNDECIDED
    fewest = reaches & (false == false[reaches].min())
    return float(thresholds[fewest].max())


def f_beta_threshold(labels: ArrayLike, probs: ArrayLike, beta: float) -> float:
    """Return the threshold with the largest F-beta: recall weighs `beta` times as much as precision.

    ``F = (1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP)`` (van Rijsbergen 1979). Ties go to the higher threshold.

    Parameters
    ----------
    labels, probs
        As in :func:`recall_first_threshold`.
    beta
        Greater than 0.

    Returns
    -------
    float
        0.50 without any target.
    """
    thresholds, found, false = _counts(labels, probs)
    targets = np.count_nonzero(labels)
    if not targets:
        return UNDECIDED
    weighted = (1 + beta**2) * found
    f_beta = weighted / (weighted + beta**2 * (targets - found) + false)
    return float(thresholds[f_beta >= f_beta.max() - _SAME].max())


def event_f1_threshold(events: Events, probs: NDArray[np.float64]) -> float:
    """Return the threshold with the largest event F1, true calls without a candidate counted as missed.

    ``F1 = 2·TP / (candidates kept + true calls)``, summed over runs. Ties go to the lower threshold, which keeps
    more.

    Parameters
    ----------
    events, probs
        Of candidates, shape (n,).

    Returns
    -------
    float
        0.50 without any candidate that matches a call.
    """
    thresholds, found, false = events_at(events, probs)
    if not found.any():
        return UNDECIDED
    f1 = 2 * found / (found + false + events.n_true)
    return float(thresholds[f1 >= f1.max() - _SAME].min())


def events_at(
    events: Events, probs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return every distinct probability, ascending, and how many true and false events, summed over runs, it keeps."""
    thresholds, rank = np.unique(probs, return_inverse=True)

    def at_least(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        summed = np.bincount(rank, weights=counts, minlength=len(thresholds)).astype(np.int64)
        return np.cumsum(summed[::-1])[::-1]

    return thresholds, at_least(events.matched), at_least(events.in_runs - events.matched)


def _counts(labels: ArrayLike, probs: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return every distinct probability, and the true and false positives when it is the threshold."""
    is_target = np.asarray(labels).astype(bool)
    thresholds, rank = np.unique(np.asarray(probs, dtype=np.float64), return_inverse=True)

    def at_least(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.cumsum(np.bincount(rank[rows], minlength=len(thresholds))[::-1])[::-1]

    return thresholds, at_least(is_target), at_least(~is_target)
