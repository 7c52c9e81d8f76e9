"""The threshold that a forest's own evidence supports: the best one that hardly costs a call, or none at all.

A filter that raises F1 on its own tapes and drops calls of the next animal does harm that nobody sees. So what it
drops must be proven harmless: out of fold, by tape, with the doubt that few calls leave.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hum_rf_filter.thresholds import events_at
from hum_rf_filter.training_data import Events

LEAST_NOISE = 30
"""Candidates that match no call: with fewer of them nobody can tell what false alarms look like."""
LEAST_RECALL = 0.95
"""Of the calls found, so many must be kept even in the doubtful case (lower end of a 95 % interval)."""
LEAST_RECALL_OF_A_TAPE = 0.9
"""Of the calls found on a tape, so many must be kept: the worst tape is the best guess at the next one."""

_CALLS_OF_A_TAPE = 10  # a tape with fewer says nothing about a share of 0.9
_Z = 1.645  # one-sided 95 %


class Recommendation(BaseModel):
    """The threshold to use and why; part of a forest's card. 0 passes everything."""

    model_config = ConfigDict(frozen=True)

    threshold: float = Field(ge=0, le=1)
    reason: str


def recommend(
    events: Events, tapes: NDArray[np.object_], probs: NDArray[np.float64], across_tapes: bool
) -> Recommendation:
    """Return the threshold with the best event F1 of those that keep calls with certainty.

    A threshold is allowed when the lower end of the 95 % interval (Wilson 1927) of the share of found calls that it
    keeps is at least 0.95, and when it keeps at least 0.9 of the calls of every tape with ten or more. Between two
    probabilities it lies in the middle, as far from the calls kept as from the false alarms dropped; of equally good
    ones the lowest is taken.

    Parameters
    ----------
    events, tapes, probs
        Of the candidates, shape (n,); probabilities out of fold.
    across_tapes
        Whether folds are tapes; without, nothing is known about other tapes.

    Returns
    -------
    Recommendation
        Threshold 0, with the reason, where nothing better is supported.
    """
    n_noise = int(np.count_nonzero(events.matched == 0))
    if n_noise < LEAST_NOISE:
        return _nothing(f"only {n_noise} candidates are false alarms; {LEAST_NOISE} are needed to know their kind")
    if not across_tapes:
        return _nothing("calls and false alarms do not both come from two tapes or more: other tapes are unknown")
    thresholds, n_true_kept, n_false_kept = events_at(events, probs)
    f1 = 2 * n_true_kept / (n_true_kept + n_false_kept + events.n_true)
    recall, n_calls = _recall_of_calls(events, probs, thresholds, np.ones(len(probs), dtype=bool))
    allowed = _lower_end(recall, n_calls) >= LEAST_RECALL
    for tape in np.unique(tapes.astype(str)):
        of_tape, n_of_tape = _recall_of_calls(events, probs, thresholds, tapes == tape)
        if n_of_tape >= _CALLS_OF_A_TAPE:
            allowed &= of_tape >= LEAST_RECALL_OF_A_TAPE
    if not allowed.any():
        return _nothing(f"{n_calls} found calls are too few to show that a filter would keep them")
    best = int(np.flatnonzero(allowed & (f1 >= f1[allowed].max() - 1e-12))[0])
    if best == 0:
        return _nothing("no threshold that surely keeps the calls raises the F1")
    return Recommendation(
        threshold=float((thresholds[best - 1] + thresholds[best]) / 2),
        reason=f"best event F1 ({f1[best]:.4f}; unfiltered {f1[0]:.4f}) of those that keep at least {LEAST_RECALL} of "
        f"the found calls with certainty ({recall[best]:.4f} of {n_calls} out of fold)",
    )


def _nothing(reason: str) -> Recommendation:
    return Recommendation(threshold=0.0, reason=f"everything passes: {reason}")


def _recall_of_calls(
    events: Events, probs: NDArray[np.float64], thresholds: NDArray[np.float64], rows: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], int]:
    """Return the share of found calls among `rows` that each threshold keeps, and how many calls there are.

    A call that several runs found counts once, as the share of its finds that is kept.
    """
    found = np.flatnonzero(rows & (events.matched > 0))
    _, call = np.unique(events.calls[found], return_inverse=True)
    n_calls = int(call.max()) + 1 if len(found) else 0
    if not n_calls:
        return np.ones(len(thresholds)), 0
    matched = events.matched[found].astype(np.float64)
    share = matched / np.bincount(call, weights=matched)[call] / n_calls
    at = np.searchsorted(thresholds, probs[found])
    kept = np.cumsum(np.bincount(at, weights=share, minlength=len(thresholds)).astype(np.float64)[::-1])[::-1]
    return np.minimum(kept, 1.0), n_calls


def _lower_end(share: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the lower end of the Wilson interval of a share of n; 0 without any."""
    if n == 0:
        return np.zeros(len(share))
    centre = share + _Z**2 / (2 * n)
    doubt = _Z * np.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    lower: NDArray[np.float64] = (centre - doubt) / (1 + _Z**2 / n)
    return lower
