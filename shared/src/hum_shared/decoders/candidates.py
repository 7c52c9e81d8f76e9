"""Candidates: stretches that may become selections, and the steps that all decoders but `union` end with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.windows import Floats, Integers, log_odds, logistic

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Candidates:
    """Stretches of one class in time order, without overlap.

    Attributes
    ----------
    start_s, end_s
        Shape (n,), seconds.
    peak, mean
        Highest and mean score, shape (n,).
    rows
        How many scores `mean` is made of, shape (n,).
    """

    start_s: Floats
    end_s: Floats
    peak: Floats
    mean: Floats
    rows: Floats

    def __len__(self) -> int:
        return len(self.start_s)

    def __getitem__(self, kept: NDArray[np.bool_] | Integers) -> Candidates:
        return Candidates(self.start_s[kept], self.end_s[kept], self.peak[kept], self.mean[kept], self.rows[kept])


def evidence(candidates: Candidates, settings: DecoderSettings) -> Floats:
    """Return the log-odds that a candidate's confidence is made of, shape (n,)."""
    return log_odds(candidates.mean if _by_mean(settings) else candidates.peak)


def _by_mean(settings: DecoderSettings) -> bool:
    return (settings.confidence_from or ("mean" if settings.decoder == "change" else "peak")) == "mean"


def confidence(candidates: Candidates, settings: DecoderSettings) -> Floats:
    """Return how sure each candidate is, in [0, 1]."""
    return logistic(settings.confidence_scale * (evidence(candidates, settings) - settings.confidence_shift))


def accepting_level(settings: DecoderSettings) -> float:
    """Return the score whose confidence is the threshold."""
    if settings.confidence_scale == 1 and settings.confidence_shift == 0:
        return settings.threshold
    needed = log_odds(np.array([settings.threshold])) / settings.confidence_scale + settings.confidence_shift
    return float(logistic(needed)[0])


def reached_score(settings: DecoderSettings) -> float | None:
    """Return the score, as the network gave it, that a selection had to reach somewhere; None where none decides.

    None does where confidence is made of mean scores or of smoothed ones.
    """
    if settings.decoder == "union":
        return settings.threshold
    if _by_mean(settings) or settings.smoothing_s > 0:
        return None
    return float(logistic(settings.temperature * log_odds(np.array([accepting_level(settings)])))[0])


def accepted(candidates: Candidates, settings: DecoderSettings) -> Candidates:
    """Return the candidates whose confidence is at least the threshold."""
    return candidates[confidence(candidates, settings) >= settings.threshold - _ROUNDING]


def bridged(candidates: Candidates, min_gap_s: float) -> Candidates:
    """Return candidates with those joined that lie closer than `min_gap_s`."""
    if min_gap_s <= 0 or len(candidates) < 2:
        return candidates
    apart = candidates.start_s[1:] - candidates.end_s[:-1] >= min_gap_s - _ROUNDING
    first = np.concatenate(([0], np.flatnonzero(apart) + 1))
    last = np.append(first[1:], len(candidates)) - 1
    rows = np.add.reduceat(candidates.rows, first)
    return Candidates(
        candidates.start_s[first],
        candidates.end_s[last],
        np.maximum.reduceat(candidates.peak, first),
        np.add.reduceat(candidates.mean * candidates.rows, first) / rows,
        rows,
    )


def moved(candidates: Candidates, onset_shift_s: float, offset_shift_s: float) -> Candidates:
    """Return candidates with starts and ends shifted; neighbours that would overlap meet in the middle.

    Those that are left without length are dropped.
    """
    if onset_shift_s == 0 and offset_shift_s == 0:
        return candidates
    start_s, end_s = candidates.start_s + onset_shift_s, candidates.end_s + offset_shift_s
    if len(start_s) > 1:
        overlap = start_s[1:] < end_s[:-1]
        middle = (start_s[1:] + end_s[:-1]) / 2
        end_s[:-1] = np.where(overlap, middle, end_s[:-1])
        start_s[1:] = np.where(overlap, middle, start_s[1:])
    shifted = Candidates(start_s, end_s, candidates.peak, candidates.mean, candidates.rows)
    return shifted[end_s > start_s]


def within(candidates: Candidates, first_s: float, last_s: float) -> Candidates:
    """Return what lies between two instants of each candidate; those that lie outside are dropped."""
    start_s, end_s = (np.clip(time_s, first_s, last_s) for time_s in (candidates.start_s, candidates.end_s))
    return Candidates(start_s, end_s, candidates.peak, candidates.mean, candidates.rows)[end_s > start_s]


def long_enough(candidates: Candidates, min_duration_s: float) -> Candidates:
    """Return the candidates that last at least `min_duration_s`."""
    if min_duration_s <= 0:
        return candidates
    return candidates[candidates.end_s - candidates.start_s >= min_duration_s - _ROUNDING]


def groups_across_shallow_gaps(
    valley: Floats,
    value_of: Callable[[Integers], Floats],
    shallow: Callable[[Floats, Floats, Floats], NDArray[np.bool_]],
) -> Integers:
    """Join neighbours across shallow gaps, the shallowest gap first.

    Parameters
    ----------
    valley
        Score of the gap behind each element but the last, shape (n − 1,).
    value_of
        Scores of groups, given the first element of each; groups are unbroken and cover all elements.
    shallow
        Which gaps part nothing, given the scores of the groups before and behind each, and the gaps' own.

    Returns
    -------
    ndarray of int64
        First element of each group. A gap is decided once, when no undecided neighbour gap is higher; so all
        gaps that are local maxima are decided at the same time, with the result of one after the other.
    """
    first = np.arange(len(valley) + 1, dtype=np.int64)
    undecided = np.ones(len(valley), dtype=bool)
    while True:
        gap = first[1:] - 1
        is_open = undecided[gap]
        if not is_open.any():
            return first
        height = np.where(is_open, valley[gap], -np.inf)
        left, right = np.append(-np.inf, height[:-1]), np.append(height[1:], -np.inf)
        turn = is_open & (height > left) & (height >= right)
        value = value_of(first)
        joins = turn & shallow(value[:-1], value[1:], valley[gap])
        undecided[gap[turn]] = False
        first = first[np.append(True, ~joins)]
