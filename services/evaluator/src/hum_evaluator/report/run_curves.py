"""The curves of precision over recall of a report's runs, where the scores they were made from are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hum_evaluator.report.curves import PrPoint, curve_of_forest, curve_of_scores, settings_of
from hum_evaluator.report.runs import Layer, scores_of
from hum_evaluator.tracks import Source, find_sources
from hum_evaluator.truth import GroundTruth
from hum_shared.errors import HumError, InputError
from hum_shared.matching import Matching
from hum_shared.words import listed


class Tracks:
    """The score tracks of runs; each folder is looked into once.

    Parameters
    ----------
    scores
        Where they lie; None asks each run's `eval.cfg`.
    """

    def __init__(self, scores: Path | None) -> None:
        self._scores = scores
        self._known: dict[Path, dict[str, Source]] = {}

    def of(self, layer: Layer) -> dict[str, Source]:
        """Return the score tracks that a layer was made from, by recording; none where they are not at hand."""
        folder = scores_of(layer, self._scores)
        if folder is None:
            return {}
        if folder not in self._known:
            try:
                self._known[folder] = {source.recording: source for source in find_sources(folder, folder)[0]}
            except InputError:
                self._known[folder] = {}  # an empty folder: the page shows no score curves
        return self._known[folder]


def points_of(
    layer: Layer, tracks: Mapping[str, Source], truth: GroundTruth, min_iou: float, matching: Matching
) -> tuple[list[PrPoint], str | None]:
    """Return the points of a layer's curve, and why there are none where its scores cannot all be read.

    A curve of some of its recordings would be none of the run. Without any score track there are no points, and
    nothing is to be said.
    """
    if layer.layer == "postrf":
        return curve_of_forest(layer.index.entries, truth, min_iou, matching), None
    if not tracks:
        return [], None
    without = f"{layer.model} · {layer.variant}: no curve of precision over recall"
    lost = sorted({one.name for one in layer.index.meta.recordings or ()} - tracks.keys())
    if lost:
        return [], f"{without}: the scores of {listed(lost)} cannot be read. Predict again."
    try:
        return curve_of_scores(tracks.values(), settings_of(layer), truth, min_iou, matching), None
    except HumError as error:
        return [], f"{without}: {error}"
