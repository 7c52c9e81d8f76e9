"""How well scores find calls: the best event F1 over a few settings of the decoder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders import Windows, decode
from hum_shared.intervals import Intervals, inside
from hum_shared.matching import match

MIN_IOU = 0.4
EDGE_LEVELS = (0.3, 0.5, 0.7)
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)

_SMALLEST = 1e-6


@dataclass(frozen=True)
class ScoredStretch:
    """Scores of a stretch of a recording and the calls in it, on one time axis."""

    windows: Windows
    calls: Intervals


@dataclass(frozen=True)
class EventOutcome:
    """What was found in a set of stretches, with the settings that find most.

    Attributes
    ----------
    loss
        Mean cross entropy of the scores' instants: inside a call or not.
    f1, precision, recall
        Of events, matched one to one at an IoU of 0.4.
    threshold, edge_level
        Settings of decoder `hysteresis` that gave the highest F1; of equal ones the most lenient.
    """

    loss: float
    f1: float
    precision: float
    recall: float
    threshold: float
    edge_level: float

    def measures(self) -> dict[str, float]:
        """Return all of them by name."""
        return asdict(self)


def event_outcome(scored: Sequence[ScoredStretch], min_gap_s: float, min_duration_s: float) -> EventOutcome:
    """Return the outcome of a set of stretches.

    Parameters
    ----------
    scored
        Two-class scores; at least one stretch.
    min_gap_s, min_duration_s
        See :class:`~hum_shared.config.decoding.DecoderSettings`.
    """
    best: EventOutcome | None = None
    loss = mean_loss(scored)
    n_calls = sum(len(part.calls) for part in scored)
    for edge_level, threshold in itertools.product(EDGE_LEVELS, THRESHOLDS):
        if threshold < edge_level:
            continue
        settings = DecoderSettings(
            decoder="hysteresis",
            threshold=threshold,
            edge_level=edge_level,
            min_gap_s=min_gap_s,
            min_duration_s=min_duration_s,
        )
        hits = n_found = 0
        for part in scored:
            found = found_intervals(part.windows, settings)
            hits += len(match(part.calls, found, MIN_IOU)[0])
            n_found += len(found)
        f1 = 2 * hits / (n_calls + n_found) if n_calls + n_found else 0.0
        if best is None or f1 > best.f1:
            precision, recall = hits / max(1, n_found), hits / max(1, n_calls)
            best = EventOutcome(loss, f1, precision, recall, threshold, edge_level)
    assert best is not None
    return best


def found_intervals(windows: Windows, settings: DecoderSettings) -> Intervals:
    """Return the selections of a decoder as an interval set, shape (n, 2)."""
    found = decode(windows, settings)
    return np.column_stack((found.start_s, found.end_s))


def mean_loss(scored: Sequence[ScoredStretch]) -> float:
    """Return the mean cross entropy of all scores, each with whether its instant lies in a call."""
    losses = []
    for part in scored:
        within = inside(part.windows.instant_s, part.calls)
        p = np.where(within, part.windows.p, 1 - part.windows.p)
        losses.append(-np.log(np.maximum(p, _SMALLEST)))
    return float(np.concatenate(losses).mean())
