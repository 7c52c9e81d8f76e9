"""What every decoder starts from and ends with: the windows of a recording, and selections of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hum_shared.intervals import gaps, overlapping_pairs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SMALLEST_PROBABILITY = 1e-6
_ROUNDING = 1e-5  # of float32 softmax


@dataclass(frozen=True)
class Windows:
    """The scored windows of one recording, in time order.

    Attributes
    ----------
    start_s, end_s
        Reported (rounded) times, shape (n,), seconds; neither ever decreases.
    probs
        Shape (n, classes); columns in the order of class indices.
    noise
        Index of the noise class; see :func:`noise_index`.
    centre_s
        The instant each window scores, shape (n,), seconds, exact where it is known; None takes the middle of the
        reported times.

    Raises
    ------
    ValueError
        When shapes disagree, there are fewer than two classes, times decrease, a number is NaN or infinite, or
        a probability is none.
    """

    start_s: Floats
    end_s: Floats
    probs: Floats
    noise: int = 0
    centre_s: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.start_s)
        if self.end_s.shape != (n,) or self.probs.ndim != 2 or len(self.probs) != n or self.probs.shape[1] < 2:
            shapes = f"{self.start_s.shape}, {self.end_s.shape}, {self.probs.shape}"
            raise ValueError(f"windows need times of shape (n,) and probabilities of shape (n, ≥ 2), not {shapes}")
        if np.any(np.diff(self.start_s) < 0) or np.any(np.diff(self.end_s) < 0) or np.any(self.end_s < self.start_s):
            raise ValueError("windows are not in time order: a start or end lies before the one before it")
        if self.centre_s is not None and (self.centre_s.shape != (n,) or np.any(np.diff(self.centre_s) < 0)):
            raise ValueError(f"the {n} windows need centres of shape ({n},) in time order")
        finite = np.isfinite(self.start_s) & np.isfinite(self.end_s) & np.isfinite(self.probs).all(axis=1)
        if not finite.all():
            raise ValueError(f"window {np.argmin(finite) + 1} of {n} holds NaN or infinite numbers")
        shares = ((self.probs >= 0) & (self.probs <= 1 + _ROUNDING)).all(axis=1)
        if not shares.all():
            raise ValueError(f"window {np.argmin(shares) + 1} of {n} holds probabilities outside 0 to 1")

    @cached_property
    def class_index(self) -> Integers:
        """Class of each window, shape (n,): the target with two classes, the argmax with more."""
        if self.probs.shape[1] == 2:
            return np.full(len(self.probs), 1 - self.noise, dtype=np.int64)
        return np.asarray(np.argmax(self.probs, axis=1), dtype=np.int64)

    @cached_property
    def p(self) -> Floats:
        """Probability of each window's class, shape (n,)."""
        return np.asarray(self.probs[np.arange(len(self.probs)), self.class_index], dtype=np.float64)

    @cached_property
    def instant_s(self) -> Floats:
        """The instant each window scores, shape (n,), seconds."""
        return (self.start_s + self.end_s) / 2 if self.centre_s is None else self.centre_s

    @cached_property
    def step_s(self) -> float:
        """The usual time from one window's instant to the next; of a single window its length, of none 0."""
        if len(self.start_s) > 1:
            return float(np.median(np.diff(self.instant_s)))
        return float(np.sum(self.end_s - self.start_s))

    def counting(self, threshold: float) -> Integers:
        """Return which windows are detections: p ≥ `threshold`, and not of the noise class."""
        return np.flatnonzero((self.p >= threshold) & (self.class_index != self.noise))

    def mean_logits(self, start_s: Floats, end_s: Floats) -> Floats:
        """Return the mean log-odds over each span, weighted by overlap duration.

        All windows that overlap a span take part, also those below a threshold: the mean of log(p/(1 − p)),
        p clamped to [1e-6, 1 − 1e-6]. NaN where no window overlaps.
        """
        spans, windows = np.column_stack((start_s, end_s)), np.column_stack((self.start_s, self.end_s))
        # Each span sums its own few windows: differences of running sums would lose digits on long recordings.
        span, window, overlap = overlapping_pairs(spans, windows)
        logit = log_odds(self.p)
        total = np.bincount(span, weights=overlap * logit[window], minlength=len(spans))
        weight = np.bincount(span, weights=overlap, minlength=len(spans))
        logits: Floats = np.divide(total, weight, out=np.full(len(spans), np.nan), where=weight > 0)
        return logits


@dataclass(frozen=True)
class Selections:
    """Stretches of one recording that a decoder reports, in time order, without overlap.

    Attributes
    ----------
    start_s, end_s
        Shape (n,), seconds from the start of the recording, start < end.
    class_index
        Shape (n,).
    logit_mean
        Mean log-odds over the selection, shape (n,); see :meth:`Windows.mean_logits`.
    score_max
        Highest probability among the selection's windows, shape (n,); NaN where unknown.
    confidence
        How sure the decoder is that this is a call, in [0, 1], shape (n,); NaN where unknown. The higher the surer
        within one model and one decoder's settings.
    """

    start_s: Floats
    end_s: Floats
    class_index: Integers
    logit_mean: Floats
    score_max: Floats
    confidence: Floats

    def __len__(self) -> int:
        return len(self.start_s)


def noise_index(classes: Sequence[str]) -> int:
    """Return which of the classes, in index order, is named ``noise`` in any case; 0 when none is."""
    return next((index for index, name in enumerate(classes) if name.lower() == "noise"), 0)


def noise_between(windows: Windows, selections: Selections) -> Selections:
    """Return what the selections leave free of the scored time, as selections of the noise class.

    Scored time reaches from the first window's start to the last window's end. Slivers between two windows
    that no window overlaps are left out: nothing was heard there.
    """
    if len(windows.start_s) == 0:
        free = np.empty((0, 2))
    else:
        found = np.column_stack((selections.start_s, selections.end_s))
        free = gaps(found, float(windows.start_s[0]), float(windows.end_s[-1]))
    logits = windows.mean_logits(free[:, 0], free[:, 1])
    heard = ~np.isnan(logits)
    free, logits = free[heard], logits[heard]
    class_index = np.full(len(free), windows.noise, dtype=np.int64)
    unknown = np.full(len(free), np.nan)
    return Selections(free[:, 0], free[:, 1], class_index, logits, unknown, unknown)


def logistic(log_odds: Floats) -> Floats:
    """Return probabilities of log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -700, 700))), dtype=np.float64)


def log_odds(p: Floats) -> Floats:
    """Return log(p/(1 − p)), p clamped to [1e-6, 1 − 1e-6]."""
    p = np.clip(p, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.asarray(np.log(p / (1 - p)), dtype=np.float64)


def nearest_row(instants_s: Floats, wanted_s: Floats) -> Integers:
    """Return the number of the instant that is nearest to each wanted one, of two the earlier.

    Parameters
    ----------
    instants_s
        Ascending, at least one, shape (n,).
    wanted_s
        Shape (k,).
    """
    right = np.minimum(np.searchsorted(instants_s, wanted_s), len(instants_s) - 1)
    left = np.maximum(right - 1, 0)
    closer = wanted_s - instants_s[left] <= instants_s[right] - wanted_s
    return np.asarray(np.where(closer, left, right), dtype=np.int64)
