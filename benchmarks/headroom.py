"""What a better threshold could gain at most: F1 with thresholds that the truth itself picks.

One threshold for all recordings, and for each the one that is best by its own F1: adapting the level of the scores to a
recording without labels can hardly reach more. Nothing is tuned by this; it looks at the benchmark's truth and belongs
in no result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_evaluator.tracks import find_sources, read_prediction
from hum_evaluator.truth import GroundTruth, read_truth
from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders import decode
from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, as_intervals
from hum_shared.matching import match

DECODER = "hysteresis"  # what the factories' variants use
MIN_IOU = 0.4
USUAL = 0.5
THRESHOLDS = np.unique(
    np.concatenate((np.geomspace(0.001, 0.05, 6), np.arange(0.05, 1, 0.05), 1 - np.geomspace(0.002, 0.04, 6)))
).tolist()


def headroom(workspace: Path, model: str) -> dict[str, float]:
    """Return F1 at IoU 0.4 of a model with its tuned `DECODER` on the benchmark.

    Returns
    -------
    dict
        `usual`, at a threshold of 0.5; `one`, at the best one for all recordings together; `each`, at the best one
        of every recording.
    """
    truth = read_truth(workspace / "data" / "benchmark_corpus" / "corpus_index.json")
    counts = np.array(  # (recordings, thresholds, 3)
        list(counts_by_threshold(scores_folder(workspace, model), tuned_decoder(workspace, model), truth, THRESHOLDS))
    )
    of_all = f1(counts.sum(axis=0))
    # Of equal thresholds the highest, which finds least in a recording without calls.
    best = len(THRESHOLDS) - 1 - np.argmax(f1(counts)[:, ::-1], axis=1)
    best_of_each = counts[np.arange(len(counts)), best]
    return {
        "usual": float(of_all[np.argmin(np.abs(np.subtract(THRESHOLDS, USUAL)))]),
        "one": float(of_all.max()),
        "each": float(f1(best_of_each.sum(axis=0))),
    }


def tuned_decoder(workspace: Path, model: str) -> DecoderSettings:
    """Return what `hum-evaluator tune` found for a model's `DECODER`."""
    file = workspace / "TRAINING" / "runs" / "models" / model / "models" / "decoder.json"
    return DecoderSettings.model_validate(json.loads(file.read_text(encoding="utf-8"))["decoders"][DECODER])


def scores_folder(workspace: Path, model: str) -> Path:
    """Return the only folder of a model's score tracks of the benchmark."""
    (scores,) = (folder for folder in (workspace / "BENCHMARK" / "scores" / model).iterdir() if folder.is_dir())
    return scores


def counts_by_threshold(
    scores: Path, settings: DecoderSettings, truth: GroundTruth, thresholds: Sequence[float]
) -> Iterator[NDArray[np.int64]]:
    """Yield for every recording matched and found selections, and calls, by threshold; shape (thresholds, 3)."""
    sources, failures = find_sources(scores, scores)
    if failures:
        raise ValueError(f"{scores}: {failures}")
    for source in sources:
        prediction = read_prediction(source)
        calls = _calls_in(truth, prediction.recording)
        rows = []
        for threshold in thresholds:  # the edges of faint calls depend on it
            found = decode(prediction.windows, settings.model_copy(update={"threshold": threshold}))
            spans = np.column_stack((found.start_s, found.end_s))
            rows.append((len(match(calls, spans, MIN_IOU)[0]), len(spans), len(calls)))
        yield np.array(rows)


def _calls_in(truth: GroundTruth, recording: RecordingInfo) -> Intervals:
    """Return the calls that lie in a recording, on its own time."""
    calls = as_intervals([(call.raw_start_s, call.raw_end_s) for call in truth.calls.get(recording.tape, ())])
    calls = calls - recording.offset_s
    return calls[(calls[:, 0] >= -1e-3) & (calls[:, 1] <= recording.dur_s + 1e-3)]


def f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return F1 of counts (…, 3) of matched, found, and calls; shape (…)."""
    matched, found, calls = np.moveaxis(counts, -1, 0)
    return np.asarray(2 * matched / np.maximum(found + calls, 1))
