"""Measures over all thresholds: detections in order of their confidence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.intervals import Intervals, iou_pairs

RECALL_OF_FALSE_ALARMS = 0.8
PSDS_MOST_FALSE_ALARMS = 100.0
"""False alarms per hour up to which the area is taken (Bilen et al. 2020)."""

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Ranking:
    """What is found and what is wrong when only detections of at least some confidence count.

    Attributes
    ----------
    confidence
        Distinct confidences, falling, shape (n,).
    tp, fp
        Matched and unmatched detections of at least that confidence, shape (n,).
    n_calls
        Calls there are.
    """

    confidence: NDArray[np.float64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    n_calls: int

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the calls that is found, shape (n,); 0 without calls."""
        return np.asarray(self.tp / max(self.n_calls, 1), dtype=np.float64)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the detections that is right, shape (n,)."""
        return np.asarray(self.tp / (self.tp + self.fp), dtype=np.float64)


def ranking(tapes: Sequence[tuple[Intervals, Intervals, NDArray[np.float64]]], min_iou: float) -> Ranking | None:
    """Rank the detections of several tapes.

    Each detection, the surest first, takes the free call with which its IoU is highest, if that is at least
    `min_iou` (the matching of Lin et al. 2014, "Microsoft COCO").

    Parameters
    ----------
    tapes
        Calls, detections and confidences of each tape.
    min_iou
        Intersection over union that a match needs.

    Returns
    -------
    Ranking or None
        None when a detection has no confidence.
    """
    confidence = np.concatenate([np.empty(0), *(scores for _, _, scores in tapes)])
    if np.isnan(confidence).any():
        return None
    hit = np.concatenate([np.empty(0, dtype=bool), *(_hits(*tape, min_iou) for tape in tapes)])
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) if len(order) else order
    tp, seen = np.cumsum(hit[order])[last], last + 1
    return Ranking(confidence[order][last], tp, seen - tp, sum(len(calls) for calls, _, _ in tapes))


def average_precision(ranked: Ranking) -> float | None:
    """Return Σ (Rₙ − Rₙ₋₁) Pₙ over falling confidence; None without calls.

    It grows with what was detected at all: a run that was decoded with a strict threshold cannot reach more than
    its recall.
    """
    if ranked.n_calls == 0:
        return None
    return float(np.sum(np.diff(ranked.recall, prepend=0.0) * ranked.precision))


def false_alarms_per_hour(ranked: Ranking, hours: float, recall: float = RECALL_OF_FALSE_ALARMS) -> float | None:
    """Return the fewest false alarms per hour with which `recall` is reached; None where it never is."""
    enough = np.flatnonzero(ranked.recall >= recall - _TOLERANCE)
    return float(ranked.fp[enough[0]] / hours) if len(enough) and hours > 0 and ranked.n_calls else None


def psds(ranked: Ranking, hours: float, most: float = PSDS_MOST_FALSE_ALARMS) -> float | None:
    """Return the mean recall over false-alarm rates from 0 to `most` per hour; None without calls or hours.

    The polyphonic sound detection score for a single class (Bilen et al. 2020, "A framework for the robust
    evaluation of sound event detection"), with matches by IoU instead of by intersection.
    """
    if ranked.n_calls == 0 or hours <= 0:
        return None
    rate = np.concatenate(([0.0], ranked.fp / hours))
    best = np.maximum.accumulate(np.concatenate(([0.0], ranked.recall)))
    rate, best = rate[rate <= most], best[rate <= most]
    return float(np.sum(best * np.diff(np.append(rate, most))) / most)


def _hits(calls: Intervals, detections: Intervals, scores: NDArray[np.float64], min_iou: float) -> NDArray[np.bool_]:
    i, j, iou = iou_pairs(calls, detections)
    enough = iou >= min_iou - _TOLERANCE
    i, j, iou = i[enough], j[enough], iou[enough]
    order = np.lexsort((i, -iou, detections[j, 0], -scores[j]))
    hit = np.zeros(len(detections), dtype=bool)
    taken: set[int] = set()
    for call, detection in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if call not in taken and not hit[detection]:
            hit[detection] = True
            taken.add(call)
    return hit
