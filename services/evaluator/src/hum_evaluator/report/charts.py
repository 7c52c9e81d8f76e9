"""The report's charts, each from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from hum_evaluator.report.events import Event
from hum_evaluator.report.svg import Axis, Chart, Point, axis, strip
from hum_evaluator.report.training import TrainingCurves

N_COLOURS = 6
_RATE_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def colour(position: int) -> str:
    """Return the CSS class of the colour of the n-th line; later ones share the last."""
    return f"c{min(position, N_COLOURS - 1)}"


def precision_recall(
    curves: Sequence[tuple[str, str, Sequence[Point]]], chosen: Sequence[tuple[str, str, Point, float | None]]
) -> Markup:
    """Return precision over recall.

    Parameters
    ----------
    curves
        (CSS class, name, points (recall, precision) over the threshold).
    chosen
        (CSS class, name, (recall, precision), threshold) of the runs.
    """
    # Good runs crowd in a corner: the axes begin below the lowest of them.
    low = max(0.0, np.floor(10 * min([1.0, *(min(point) for _, _, point, _ in chosen)]) - 1) / 10)
    said = f"Precision over recall: {len(curves)} curves, {len(chosen)} runs at their thresholds"
    recalls = axis("recall: share of calls found", low, 1.0)
    chart = Chart(recalls, axis("precision: share of selections that are calls", low, 1.0), said, 560, 420)
    for f1 in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        curve = [(float(r), float(f1 * r / (2 * r - f1))) for r in np.linspace(f1 / (2 - f1), 1, 60)]
        chart.line([(r, p) for r, p in curve if min(r, p) >= low], "iso", f"F1 = {f1}")
        if f1 / (2 - f1) >= low:
            chart.text((1.0, f1 / (2 - f1)), f"F1 {f1:g}", "tick", dx=-46, dy=-3)
    for css, name, points in curves:
        chart.line([point for point in points if min(point) >= low], css, name)
    for css, name, point, threshold in chosen:
        at = "" if threshold is None else f"{threshold:.3g}"
        chart.dot(point, css, f"{name}: recall {point[0]:.3f}, precision {point[1]:.3f}, threshold {at}", radius=5)
        chart.text(point, at, "chosen", dx=-8, dy=14)
    return chart.svg()


def edge_histograms(starts_ms: Sequence[float], ends_ms: Sequence[float]) -> list[Markup]:
    """Return how many hits start, and how many end, how early or late; both over the same times."""
    usual = np.percentile(np.abs([*starts_ms, *ends_ms]), 95)
    reach = max(50.0, float(np.ceil(usual / 50) * 50))
    return [_edge_histogram(starts_ms, "Start", reach), _edge_histogram(ends_ms, "End", reach)]


def _edge_histogram(errors_ms: Sequence[float], what: str, reach: float) -> Markup:
    edges = np.linspace(-reach, reach, 25)
    counts, _ = np.histogram(np.clip(errors_ms, -reach, reach), edges)  # what lies beyond stands in the last bars
    said = f"{what} of {len(errors_ms)} hits, median {np.median(errors_ms):+.0f} ms"
    top = max(1, int(counts.max()))
    chart = Chart(
        axis(f"{what}: ms after the true one (left of 0: too early)", -reach, reach), axis("hits", 0, top), said
    )
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            chart.bar(left, right, count, "hit", f"{left:.0f} to {right:.0f} ms: {count}")
    chart.line([(0.0, 0.0), (0.0, float(top))], "iso")
    return chart.svg()


def rates_over_time(hours: Sequence[tuple[float, float, float]], label: str, with_truth: bool) -> Markup:
    """Return calls per hour over time: bars of the selections, a stepped line of the truth.

    Parameters
    ----------
    hours
        (hour, true calls per hour, selections per hour), one per hour that was recorded.
    label
        What the hours count.
    """
    top = max([1.0, *(max(true, said) for _, true, said in hours)])
    first, last = (hours[0][0], hours[-1][0] + 1) if hours else (0.0, 1.0)
    said = f"Selections per hour over {len(hours)} hours" + (", against the true calls" if with_truth else "")
    chart = Chart(axis(label, first, last, min(12, int(last - first) or 1)), axis("per hour", 0, top), said, 960, 260)
    for hour, true, selected in hours:
        words = f"{label} {hour:g}: {selected:.1f} selections per hour" + (f", {true:.1f} calls" if with_truth else "")
        chart.bar(hour + 0.08, hour + 0.92, selected, "hit", words)
        if with_truth:
            chart.line([(hour, true), (hour + 1, true)], "truth", words)
    return chart.svg()


def rates_by_tape(tapes: Sequence[tuple[str, float, float]]) -> Markup:
    """Return selections per hour against calls per hour: one dot per tape (name, true, selected)."""
    top = max([1.0, *(max(true, said) for _, true, said in tapes)]) * 1.05
    said = f"Selections per hour against calls per hour on {len(tapes)} tapes; on the line they agree"
    chart = Chart(axis("calls per hour", 0, top), axis("selections per hour", 0, top), said, 420, 360)
    chart.line([(0.0, 0.0), (top, top)], "iso", "as many selections as calls")
    for name, true, selected in tapes:
        chart.dot((true, selected), "c0 faint", f"{name}: {true:.1f} calls, {selected:.1f} selections per hour")
    return chart.svg()


def confidence_histogram(probabilities: Sequence[float]) -> Markup:
    """Return how sure the last judge was of the selections."""
    counts, edges = np.histogram(np.asarray(probabilities), np.linspace(0, 1, 21))
    said = f"Confidence of {len(probabilities)} selections"
    chart = Chart(Axis(0, 1, _RATE_TICKS, "confidence"), axis("selections", 0, max(1, int(counts.max()))), said)
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            chart.bar(left, right, count, "hit", f"{left:.2f} to {right:.2f}: {count}")
    return chart.svg()


def timeline(events: Sequence[Event], length_s: float, with_truth: bool) -> Markup:
    """Return the strip of one tape: misses above, hits, false alarms below (or all selections alone)."""
    kinds = (
        (("miss", "missed"), ("hit", "found"), ("alarm", "false alarms")) if with_truth else (("found", "selected"),)
    )
    lanes = [(kind, [(one.start_s, one.end_s) for one in events if one.kind == kind]) for kind, _ in kinds]
    said = ", ".join(f"{len(lane)} {word}" for (_, lane), (_, word) in zip(lanes, kinds, strict=True))
    return strip(lanes, max(length_s, 1e-3), said)


def training(curves: TrainingCurves, columns: Mapping[str, str], label: str) -> Markup:
    """Return curves over epochs; `columns` is column → CSS class, those that the model lacks are left out."""
    epochs = [epoch or 0.0 for epoch in curves.columns["epoch"]]
    lines = {name: curves.columns[name] for name in columns if name in curves.columns}
    values = [value for line in lines.values() for value in line if value is not None]
    top = max([1e-3, *values])
    chart = Chart(
        axis("epoch", min([0.0, *epochs]), max([1.0, *epochs])),
        axis(label, min([0.0, *values]), top),
        f"{label} of {curves.model} over {len(epochs)} evaluations",
        460,
        240,
    )
    for name, line in lines.items():
        points = [(x, y) for x, y in zip(epochs, line, strict=True) if y is not None]
        chart.line(points, columns[name], name.replace("_", " "))
        if len(points) == 1:
            chart.dot(points[0], columns[name], name.replace("_", " "))
    return chart.svg()
