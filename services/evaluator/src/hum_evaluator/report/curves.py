"""Precision–recall curves: what a run would find at other thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hum_evaluator.metrics import outcome
from hum_evaluator.report.runs import Layer
from hum_evaluator.tracks import Source, read_prediction
from hum_evaluator.truth import GroundTruth, tape_of
from hum_shared.decoders import DecoderSettings, decode
from hum_shared.index import PredictionEntry
from hum_shared.intervals import Intervals, as_intervals
from hum_shared.matching import Matching

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class PrPoint:
    """Recall and precision at a threshold."""

    threshold: float
    recall: float
    precision: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 without hits."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


def curve_of_scores(
    sources: Iterable[Source],
    settings: DecoderSettings,
    truth: GroundTruth,
    min_iou: float,
    matching: Matching,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[PrPoint]:
    """Decode score tracks at several thresholds; each track is read once.

    Returns
    -------
    list
        By threshold. Thresholds at which nothing is selected are left out.
    """
    by_threshold: list[dict[str, list[Intervals]]] = [{} for _ in thresholds]
    for source in sources:
        prediction = read_prediction(source)
        offset_s = prediction.recording.offset_s
        for position, threshold in enumerate(thresholds):
            found = decode(prediction.windows, settings.with_values(threshold=threshold))
            spans = np.column_stack((found.start_s, found.end_s)) + offset_s
            by_threshold[position].setdefault(prediction.recording.tape, []).append(np.round(spans, 3))
    joined = [
        {tape: np.concatenate([np.empty((0, 2)), *parts]) for tape, parts in tapes.items()} for tapes in by_threshold
    ]
    return _points(zip(thresholds, joined, strict=True), truth, min_iou, matching)


def curve_of_forest(
    entries: Sequence[PredictionEntry], truth: GroundTruth, min_iou: float, matching: Matching
) -> list[PrPoint]:
    """Return the curve over the forest's threshold, from the one that was used upwards."""
    probs = np.array([entry.rf_prob for entry in entries if entry.rf_prob is not None])
    if len(probs) == 0:
        return []
    thresholds = np.unique(np.quantile(probs, np.linspace(0, 0.95, 16), method="lower")).tolist()
    by_threshold = []
    for threshold in thresholds:
        tapes: dict[str, list[tuple[float, float]]] = {}
        for entry in entries:
            if entry.rf_prob is not None and entry.rf_prob >= threshold:
                tapes.setdefault(tape_of(entry), []).append(entry.tape_interval_s())
        by_threshold.append((threshold, {tape: as_intervals(spans) for tape, spans in tapes.items()}))
    return _points(by_threshold, truth, min_iou, matching)


def settings_of(layer: Layer) -> DecoderSettings:
    """Return the settings a run was decoded with, as its index says; where it does not, those of `union`."""
    said = layer.index.meta.model_extra or {}
    given = {key: said[key] for key in ("decoder", "threshold") if key in said}
    return DecoderSettings.model_validate(said.get("decoder_settings", given))


def _points(
    found: Iterable[tuple[float, Mapping[str, Intervals]]], truth: GroundTruth, min_iou: float, matching: Matching
) -> list[PrPoint]:
    n_calls = sum(len(calls) for calls in truth.calls.values())
    points = []
    for threshold, tapes in found:
        n_found = sum(len(spans) for spans in tapes.values())
        hits = sum(
            outcome(truth.intervals(tape), truth.qualities(tape), spans, min_iou, matching).tp
            for tape, spans in tapes.items()
        )
        if n_found and n_calls:
            points.append(PrPoint(threshold, hits / n_calls, hits / n_found))
    return points
