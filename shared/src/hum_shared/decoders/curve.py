"""The score curve of one class over time: what all decoders but `union` look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.decoders.windows import Floats, Integers, Windows, log_odds, logistic


@dataclass(frozen=True)
class Curve:
    """A score over time, linear between its knots.

    The first and last window's scores hold out to the first window's start and the last one's end; there the
    curve drops to 0. So everything above a level > 0 has two edges.

    Attributes
    ----------
    time_s
        Shape (n,), never decreasing, seconds.
    score
        Shape (n,), in [0, 1]; 0 at both ends.
    counting
        The same where the class is the window's own (with two classes: everywhere), else 0.
    step_s
        Time between two windows.
    """

    time_s: Floats
    score: Floats
    counting: Floats
    step_s: float


def score_curve(windows: Windows, class_index: int, temperature: float = 1.0, smoothing_s: float = 0.0) -> Curve:
    """Return the curve of a class.

    Parameters
    ----------
    windows
        At least one window; each scores the instant at its centre.
    class_index
        The class; its probability is the score.
    temperature
        The scores' log-odds are divided by this.
    smoothing_s
        Width of the triangle (at half its height) the scores are averaged with. Probabilities are averaged, not
        log-odds: where a score leaps from low to high, the curve then crosses 0.5 at the leap, however wide the
        triangle is.
    """
    score = windows.probs[:, class_index].astype(np.float64)
    if temperature != 1:
        score = logistic(log_odds(score) / temperature)
    score = np.clip(score, 0, 1)
    counting = score
    if windows.probs.shape[1] > 2:
        counting = np.where(windows.class_index == class_index, score, 0.0)
    time_s = windows.instant_s
    step_s = windows.step_s
    width = round(smoothing_s / step_s) if step_s > 0 else 0
    if width >= 2:
        same = counting is score
        score = triangular(score, width)
        counting = score if same else np.minimum(triangular(counting, width), score)
    begin_s = min(float(windows.start_s[0]), float(time_s[0]))
    finish_s = max(float(windows.end_s[-1]), float(time_s[-1]))
    padded = _padded(score)
    times = np.concatenate(([begin_s, begin_s], time_s, [finish_s, finish_s]))
    return Curve(times, padded, padded if counting is score else _padded(counting), step_s)


def triangular(values: Floats, width: int) -> Floats:
    """Return running means weighted by a triangle whose half height is `width` values wide; ends repeat.

    Takes the same time whatever the width.
    """
    for number, before in ((width, width // 2), (width, (width - 1) // 2)):  # even widths: the halves even out
        spread = np.pad(values, (before, number - 1 - before), mode="edge")
        sums = np.concatenate(([0.0], np.cumsum(spread)))
        values = (sums[number:] - sums[:-number]) / number
    return np.clip(values, 0.0, 1.0)  # of probabilities; differences of sums may lie a rounding outside


def above(curve: Curve, floor: float) -> Curve:
    """Return the curve without knots that only matter below `floor`: the same at and above it, and much shorter."""
    high = curve.score >= floor
    kept = high.copy()
    kept[1:] |= high[:-1]
    kept[:-1] |= high[1:]
    kept[0] = kept[-1] = True
    same = curve.counting is curve.score
    score = curve.score[kept]
    return Curve(curve.time_s[kept], score, score if same else curve.counting[kept], curve.step_s)


def joined(curves: Sequence[Curve], offsets_s: Sequence[float]) -> Curve:
    """Return curves of several recordings as one, each moved by its offset; offsets must keep them apart."""
    time_s = np.concatenate([curve.time_s + offset for curve, offset in zip(curves, offsets_s, strict=True)])
    score = np.concatenate([curve.score for curve in curves])
    same = all(curve.counting is curve.score for curve in curves)
    counting = score if same else np.concatenate([curve.counting for curve in curves])
    return Curve(time_s, score, counting, float(np.median([curve.step_s for curve in curves])))


def left_crossing(curve: Curve, row: Integers, level: Floats | float) -> Floats:
    """Return when the curve rises through `level` before knot `row`, which lies at or above it."""
    return _crossing(curve.time_s, curve.score, row - 1, row, level)


def right_crossing(curve: Curve, row: Integers, level: Floats | float) -> Floats:
    """Return when the curve falls through `level` after knot `row`, which lies at or above it."""
    return _crossing(curve.time_s, curve.score, row + 1, row, level)


def _crossing(time_s: Floats, score: Floats, low: Integers, high: Integers, level: Floats | float) -> Floats:
    rise = score[high] - score[low]
    share = np.clip(np.divide(level - score[low], rise, out=np.ones(len(high)), where=rise > 0), 0, 1)
    return np.asarray(time_s[low] + share * (time_s[high] - time_s[low]), dtype=np.float64)


def _padded(score: Floats) -> Floats:
    return np.concatenate(([0.0], score[:1], score, score[-1:], [0.0]))


def ranges_of(flags: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """Return first and last row of every unbroken run of flags; the first and last flag must not be set."""
    change = np.flatnonzero(flags[1:] != flags[:-1])
    return change[::2] + 1, change[1::2]
