"""How much of an epoch lies around calls, and how much on hard negatives."""

from __future__ import annotations

AROUND_CALLS = 0.5
MOST_ON_NEGATIVES = 0.25
"""Half of what lies anywhere."""


def on_negatives(n_negatives: int, n_calls: int) -> float:
    """Return the share of an epoch's examples that lies on hard negatives.

    A false alarm is shown as often as a call at most: a few of them are few places of few recordings, and some are
    calls that nobody labelled.

    Parameters
    ----------
    n_negatives
        How many hard negatives there are.
    n_calls
        How many calls `AROUND_CALLS` of the examples lie around; none counts as one.
    """
    return min(MOST_ON_NEGATIVES, AROUND_CALLS * n_negatives / max(n_calls, 1))
