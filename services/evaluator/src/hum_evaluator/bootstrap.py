"""How sure counts are: intervals by drawing tapes again, and differences between runs on the same tapes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEWEST_TAPES = 5
"""With fewer tapes that hold calls, one-minute blocks are drawn instead: what they say holds for these tapes only."""
BLOCK_S = 60.0

By = Literal["tape", "one-minute block"]
Unit = tuple[str, int]
"""A tape (and 0), or a tape and the number of one of its blocks."""
Counts = Mapping[Unit, tuple[int, int, int]]
"""Unit → matched pairs, detections, calls."""

_SEED = 0
_LEVELS = (2.5, 97.5)
_AT_A_TIME = 64  # resamples whose weights are held in memory


@dataclass(frozen=True)
class Intervals95:
    """95 % intervals (low, high), over those draws in which there is something to count.

    None where fewer than two units hold anything: one alone says nothing about others.
    """

    by: By
    precision: tuple[float, float] | None
    recall: tuple[float, float] | None
    f1: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """One run's F1 minus another's, on the same tapes.

    Attributes
    ----------
    better, worse
        Tapes on which the first run's F1 is higher, and lower; where a tape holds no calls, its false alarms are fewer,
        and more.
    n_tapes
        Tapes with calls; and those without, if both runs have them and either has detections there.
    delta, low, high
        Difference of F1 over all tapes, and its 95 % interval; None where fewer than two units hold anything.
    by
        What was drawn again.
    """

    better: int
    worse: int
    n_tapes: int
    delta: float
    low: float | None
    high: float | None
    by: By

    @property
    def verdict(self) -> str:
        """The difference in words, for example `better on 11 of 13 tapes, ΔF1 +0.12 [0.07, 0.18]`."""
        count, word = (self.worse, "worse") if self.delta < 0 else (self.better, "better")
        if self.better == self.worse == 0 and self.delta == 0:
            count, word = self.n_tapes, "equal"
        unit = "" if self.by == "tape" else f" ({self.by}s)"
        span = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]{unit}"
        return f"{word} on {count} of {self.n_tapes} tapes, ΔF1 {self.delta:+.2f}{span}"


def drawn(counts: Counts) -> By:
    """Return what is to be drawn again: tapes, or blocks where fewer than five tapes hold calls.

    Tapes without calls do not count: two that both find nine of ten calls would stand for all others.
    """
    with_calls = {tape for (tape, _), (_, _, n_gt) in counts.items() if n_gt}
    return "tape" if len(with_calls) >= FEWEST_TAPES else "one-minute block"


def by_tape(counts: Counts) -> dict[Unit, tuple[int, int, int]]:
    """Return counts of blocks summed over each tape."""
    sums: dict[Unit, tuple[int, int, int]] = {}
    for (tape, _), (tp, n_pred, n_gt) in counts.items():
        before = sums.get((tape, 0), (0, 0, 0))
        sums[tape, 0] = (before[0] + tp, before[1] + n_pred, before[2] + n_gt)
    return sums


def intervals95(counts: Counts, resamples: int = RESAMPLES) -> Intervals95 | None:
    """Return 95 % intervals of precision, recall and F1 by the percentile bootstrap (Efron 1979).

    Parameters
    ----------
    counts
        Of one-minute blocks, also empty ones; summed by tape where there are tapes enough.
    resamples
        How often as many units as there are are drawn with replacement; the seed is fixed.

    Returns
    -------
    Intervals95 or None
        None with fewer than two units: one alone says nothing about others.
    """
    by = drawn(counts)
    units = by_tape(counts) if by == "tape" else counts
    if len(units) < 2:
        return None
    counted = np.array([units[unit] for unit in sorted(units)], dtype=np.float64)
    tp, n_pred, n_gt = _resampled([counted], resamples)[0].T
    wholes = (counted[:, 1], counted[:, 2], counted[:, 1] + counted[:, 2])
    rates = (_share(tp, n_pred), _share(tp, n_gt), _share(2 * tp, n_pred + n_gt))
    return Intervals95(by, *(_percentiles(rate, whole > 0) for rate, whole in zip(rates, wholes, strict=True)))


def difference(one: Counts, other: Counts, resamples: int = RESAMPLES) -> Difference | None:
    """Return how much better one run is than another; None without units.

    The same draws of tapes (or blocks) count for both, so what makes a tape hard for both does not blur the
    difference.
    """
    by = drawn({**one, **other})
    if by == "tape":  # first of all: one may be counted by tape, the other by block
        one, other = by_tape(one), by_tape(other)
    # What only one of them has: the calls are there for both, and the other one found none of them.
    everything = {unit: (0, 0, (one.get(unit) or other[unit])[2]) for unit in sorted({*one, *other})}
    if not everything:
        return None
    first, second = {**everything, **one}, {**everything, **other}
    tapes = (by_tape(first), by_tape(second))
    stacked = [np.array([part[unit] for unit in sorted(part)], dtype=np.float64) for part in (first, second)]
    low = high = None
    if len(stacked[0]) > 1:
        deltas = np.subtract(*(_f1(sums) for sums in _resampled(stacked, resamples)))
        low, high = _percentiles(deltas, np.any([part[:, 1:].any(axis=1) for part in stacked], axis=0)) or (None, None)
    by_both = by_tape(one).keys() & by_tape(other).keys()
    heard = [
        unit for unit in tapes[0] if tapes[0][unit][2] or (unit in by_both and (tapes[0][unit][1] or tapes[1][unit][1]))
    ]
    values = [[_worth(*part[unit]) for part in tapes] for unit in heard]
    delta = float(np.subtract(*(np.nan_to_num(_f1(part.sum(axis=0, keepdims=True))) for part in stacked))[0])
    return Difference(
        better=sum(mine > theirs for mine, theirs in values),
        worse=sum(mine < theirs for mine, theirs in values),
        n_tapes=len(heard),
        delta=delta,
        low=low,
        high=high,
        by=by,
    )


def _resampled(parts: Sequence[NDArray[np.float64]], resamples: int) -> list[NDArray[np.float64]]:
    """Return sums over units drawn with replacement, the same draws for all parts; shape (resamples, 3) each."""
    n = len(parts[0])
    busy = np.any(np.hstack(parts) != 0, axis=1)
    # Which of the empty units is drawn makes no difference: together they are one outcome of the draw.
    chances = np.append(np.full(busy.sum(), 1 / n), (n - busy.sum()) / n)
    parts = [np.vstack((part[busy], np.zeros(3))) for part in parts]
    rng = np.random.default_rng(_SEED)
    sums: list[list[NDArray[np.float64]]] = [[] for _ in parts]
    for first in range(0, resamples, _AT_A_TIME):
        weights = rng.multinomial(n, chances, size=min(_AT_A_TIME, resamples - first))
        for total, part in zip(sums, parts, strict=True):
            total.append(weights @ part)
    return [np.concatenate(total) for total in sums]


def _f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return _share(2 * sums[:, 0], sums[:, 1] + sums[:, 2])


def _worth(tp: int, n_pred: int, n_gt: int) -> float:
    """Return what orders runs on a tape: F1, and without calls, or hits, the fewer false alarms the better."""
    return 2 * tp / (n_pred + n_gt) if tp else -n_pred


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares; NaN where there is nothing to share."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _percentiles(values: NDArray[np.float64], counting: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the ends of the 95 % interval over draws that have a value; None where fewer than two units count."""
    if counting.sum() < 2:
        return None
    low, high = np.percentile(values[~np.isnan(values)], _LEVELS).tolist()
    return low, high
