"""All measures of one run and layer: what the columns of the comparison behind the first ones hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_evaluator.bootstrap import BLOCK_S, Unit, intervals95
from hum_evaluator.collar import collar_match
from hum_evaluator.metrics import OTHER_IOUS, RATES, Outcome, Row, pooled, rates
from hum_evaluator.ranking import average_precision, false_alarms_per_hour, psds, ranking
from hum_shared.index import PredictionEntry
from hum_shared.intervals import Intervals, inside
from hum_shared.matching import Matching, match


@dataclass(frozen=True)
class Tape:
    """One tape of a run.

    Attributes
    ----------
    calls, detections
        Intervals in tape time, s.
    confidence
        Of each detection, or its rank, shape (n,); NaN where unknown.
    result
        How they meet at the comparison's own IoU.
    heard
        Stretches of the tape that were scored, shape (m, 2), without overlap; None where unknown.
    """

    calls: Intervals
    detections: Intervals
    confidence: NDArray[np.float64]
    result: Outcome
    heard: Intervals | None

    @property
    def hours(self) -> float | None:
        """Hours that were scored; None where unknown."""
        return None if self.heard is None else float(np.sum(self.heard[:, 1] - self.heard[:, 0])) / 3600

    @property
    def n_heard(self) -> int:
        """How many calls lie (with their middle) in what was scored; all where that is unknown."""
        return len(self.calls) if self.heard is None else int(inside(self.calls.mean(axis=1), self.heard).sum())


def ranks(entries: Sequence[PredictionEntry]) -> NDArray[np.float64]:
    """Return the order of selections, the surest highest, shape (n,); NaN where an index carries nothing to rank by.

    The filter's probability decides, then the decoder's confidence, then its score: filters give many selections one
    probability, one that lets everything pass gives it to all, and the surest selections all have a confidence of 1.
    """
    keys = np.array(
        [
            [
                -np.inf if value is None else value
                for value in (one.rf_prob, one.confidence, one.score_max, one.cnn_logit_mean)
            ]
            for one in entries
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    order = np.lexsort(keys.T[::-1])
    differs = np.any(keys[order][1:] != keys[order][:-1], axis=1)
    found = np.empty(len(keys))
    found[order] = np.concatenate(([0.0], np.cumsum(differs)))[: len(keys)]
    return np.where(np.isfinite(keys).any(axis=1), found, np.nan)


def more_columns(tapes: Sequence[Tape], min_iou: float, matching: Matching) -> Row:
    """Return `MORE_TAPE_COLUMNS` over one tape or several.

    Errors are None without pairs, rates per hour where hours are unknown, measures over all thresholds where a
    detection has no confidence.
    """
    row: Row = {}
    n_pred, n_gt = sum(len(tape.detections) for tape in tapes), sum(len(tape.calls) for tape in tapes)
    for iou in OTHER_IOUS:
        tp = sum(len(match(tape.calls, tape.detections, iou, matching)[0]) for tape in tapes)
        row |= rates(tp, n_pred, n_gt, f"_iou{round(iou * 100)}")
    row |= rates(sum(len(collar_match(tape.calls, tape.detections)[0]) for tape in tapes), n_pred, n_gt, "_collar")
    known = [tape.hours for tape in tapes if tape.hours is not None]
    hours = float(sum(known)) if len(known) == len(tapes) and tapes else None
    ranked = ranking([(tape.calls, tape.detections, tape.confidence) for tape in tapes], min_iou)
    row["average_precision"] = None if ranked is None else average_precision(ranked)
    row["fa_per_hour_r80"] = None if ranked is None or hours is None else false_alarms_per_hour(ranked, hours)
    row["psds"] = None if ranked is None or hours is None else psds(ranked, hours)
    result = pooled([tape.result for tape in tapes])
    found = result.tp > 0
    row["median_dstart_ms"] = float(np.median(result.dstart_ms)) if found else None
    row["median_dend_ms"] = float(np.median(result.dend_ms)) if found else None
    row["bias_onset_ms"] = float(np.mean(result.onset_ms)) if found else None
    row["bias_offset_ms"] = float(np.mean(result.offset_ms)) if found else None
    row["hours"] = hours
    row["gt_per_hour"] = sum(tape.n_heard for tape in tapes) / hours if hours else None
    row["pred_per_hour"] = n_pred / hours if hours else None
    return row


def interval_columns(counts: Mapping[Unit, tuple[int, int, int]]) -> Row:
    """Return the 95 % intervals of precision, recall and F1, and what was drawn for them; None without tapes."""
    found = intervals95(counts)
    row: Row = {}
    for rate in RATES:
        low, high = (found and getattr(found, rate)) or (None, None)
        row |= {f"{rate}_low": low, f"{rate}_high": high}
    return {**row, "interval_by": None if found is None else found.by}


def block_counts(tapes: Mapping[str, Tape], min_iou: float, matching: Matching) -> dict[Unit, tuple[int, int, int]]:
    """Return matched pairs, detections and calls of every minute that was scored.

    A call and the detection that it is paired with count in the minute in which the call starts.
    """
    counts: dict[Unit, tuple[int, int, int]] = {}
    for name, tape in tapes.items():
        i, j = match(tape.calls, tape.detections, min_iou, matching)
        of_call = _blocks(tape.calls[:, 0])
        of_detection = _blocks(tape.detections[:, 0])
        of_detection[j] = of_call[i]
        heard = [np.empty(0, dtype=np.int64)]
        for start_s, end_s in [] if tape.heard is None else tape.heard.tolist():
            heard.append(np.arange(int(start_s // BLOCK_S), max(int(np.ceil(end_s / BLOCK_S)), 1)))
        blocks = np.unique(np.concatenate([of_call, of_detection, *heard]))
        if len(blocks) == 0:
            blocks = np.zeros(1, dtype=np.int64)  # a tape that nobody knows more of than its name
        columns = [
            np.bincount(np.searchsorted(blocks, part), minlength=len(blocks)).tolist()
            for part in (of_call[i], of_detection, of_call)
        ]
        for block, tp, n_pred, n_gt in zip(blocks.tolist(), *columns, strict=True):
            counts[name, block] = (tp, n_pred, n_gt)
    return counts


def _blocks(starts_s: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(starts_s / BLOCK_S).astype(np.int64)
