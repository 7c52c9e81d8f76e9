"""Measures of detections against true calls: matched counts, errors in time, recall by quality, correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.intervals import Intervals
from hum_shared.matching import Matching, match

QUALITIES = (1, 2, 3)
TAPE_COLUMNS = (
    "n_gt",
    "n_pred",
    "tp",
    "fp",
    "fn",
    "precision",
    "recall",
    "f1",
    "mean_dstart_ms",
    "mean_dend_ms",
    *(f"recall_q{quality}" for quality in QUALITIES),
)
RUN_COLUMNS = (*TAPE_COLUMNS, "pearson_calls", "spearman_calls")
OTHER_IOUS = (0.3, 0.5, 0.7)
RATES = ("precision", "recall", "f1")
MORE_TAPE_COLUMNS = (
    *(f"{rate}_iou{round(iou * 100)}" for iou in OTHER_IOUS for rate in RATES),
    *(f"{rate}_collar" for rate in RATES),
    "average_precision",
    "fa_per_hour_r80",
    "psds",
    "median_dstart_ms",
    "median_dend_ms",
    "bias_onset_ms",
    "bias_offset_ms",
    "hours",
    "gt_per_hour",
    "pred_per_hour",
)
"""Columns behind those of `TAPE_COLUMNS`; see :mod:`hum_evaluator.scorecard`."""
MORE_RUN_COLUMNS = (
    *MORE_TAPE_COLUMNS,
    *(f"{rate}_{end}" for rate in RATES for end in ("low", "high")),
    "interval_by",
)

Row = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Outcome:
    """How the detections of one tape, or of several, meet the true calls.

    Attributes
    ----------
    n_gt, n_pred
        True calls and detections.
    onset_ms, offset_ms
        Signed errors of start and end of the matched pairs, shape (tp,); above 0 where the detection is late.
    calls, found
        Quality → true calls, and → how many of them were found.
    """

    n_gt: int
    n_pred: int
    onset_ms: NDArray[np.float64]
    offset_ms: NDArray[np.float64]
    calls: Mapping[int, int]
    found: Mapping[int, int]

    @property
    def tp(self) -> int:
        """Matched pairs."""
        return len(self.onset_ms)

    @property
    def dstart_ms(self) -> NDArray[np.float64]:
        """Absolute errors of start, shape (tp,)."""
        return np.abs(self.onset_ms)

    @property
    def dend_ms(self) -> NDArray[np.float64]:
        """Absolute errors of end, shape (tp,)."""
        return np.abs(self.offset_ms)


def outcome(
    calls: Intervals, qualities: Sequence[int | None], detections: Intervals, min_iou: float, matching: Matching
) -> Outcome:
    """Match the detections of one tape to its true calls.

    Parameters
    ----------
    calls, detections
        Intervals in tape time (s), in any order.
    qualities
        Quality of each call; None where it has none.
    min_iou, matching
        See :func:`hum_shared.matching.match`.
    """
    by_time = np.lexsort((detections[:, 1], detections[:, 0]))  # ties of the greedy matching go to the earlier one
    i, j = match(calls, detections[by_time], min_iou, matching)
    error_ms = (detections[by_time][j] - calls[i]) * 1000
    found = [qualities[row] for row in i.tolist()]
    return Outcome(
        n_gt=len(calls),
        n_pred=len(detections),
        onset_ms=error_ms[:, 0],
        offset_ms=error_ms[:, 1],
        calls={quality: list(qualities).count(quality) for quality in QUALITIES},
        found={quality: found.count(quality) for quality in QUALITIES},
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome over several tapes: every call and every pair counts the same."""
    return Outcome(
        n_gt=sum(part.n_gt for part in outcomes),
        n_pred=sum(part.n_pred for part in outcomes),
        onset_ms=np.concatenate([np.empty(0), *(part.onset_ms for part in outcomes)]),
        offset_ms=np.concatenate([np.empty(0), *(part.offset_ms for part in outcomes)]),
        calls={quality: sum(part.calls[quality] for part in outcomes) for quality in QUALITIES},
        found={quality: sum(part.found[quality] for part in outcomes) for quality in QUALITIES},
    )


def tape_row(result: Outcome) -> Row:
    """Return the measures of an outcome by column name.

    Rates are 0 where nothing can be counted; means without pairs and recalls of a quality that no call has are
    None.
    """
    tp = result.tp
    return {
        "n_gt": result.n_gt,
        "n_pred": result.n_pred,
        "tp": tp,
        "fp": result.n_pred - tp,
        "fn": result.n_gt - tp,
        **rates(tp, result.n_pred, result.n_gt),
        "mean_dstart_ms": float(result.dstart_ms.mean()) if tp else None,
        "mean_dend_ms": float(result.dend_ms.mean()) if tp else None,
        **{
            f"recall_q{quality}": result.found[quality] / result.calls[quality] if result.calls[quality] else None
            for quality in QUALITIES
        },
    }


def rates(tp: int, n_pred: int, n_gt: int, ending: str = "") -> Row:
    """Return precision, recall and F1 by column name; 0 where nothing can be counted."""
    return {
        f"precision{ending}": tp / n_pred if n_pred else 0.0,
        f"recall{ending}": tp / n_gt if n_gt else 0.0,
        f"f1{ending}": 2 * tp / (n_pred + n_gt) if tp else 0.0,
    }


def run_row(tapes: Sequence[Outcome]) -> Row:
    """Return the measures over all tapes, with the correlations of calls and detections per tape."""
    from scipy.stats import rankdata  # takes a second to import: not for --help or run

    calls, detections = [part.n_gt for part in tapes], [part.n_pred for part in tapes]
    return {
        **tape_row(pooled(tapes)),
        "pearson_calls": pearson(calls, detections),
        "spearman_calls": pearson(rankdata(calls).tolist(), rankdata(detections).tolist()),
    }


def pearson(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return the correlation of two series; None when one is constant or there are fewer than two values."""
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(np.corrcoef(x, y)[0, 1])
