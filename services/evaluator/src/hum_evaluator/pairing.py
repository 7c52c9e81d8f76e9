"""Differences between runs on the same tapes: every run with the best one, every filter with its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hum_evaluator.bootstrap import Counts, difference
from hum_evaluator.metrics import Row

PAIRED_COLUMNS = (
    "model",
    "variant",
    "layer",
    "other_model",
    "other_variant",
    "other_layer",
    "compared",
    "n_tapes",
    "better",
    "worse",
    "delta_f1",
    "delta_f1_low",
    "delta_f1_high",
    "interval_by",
    "verdict",
)
WITH_BEST, WITH_BASELINE = "with the best run", "filter with baseline"


@dataclass(frozen=True)
class Scored:
    """One run and layer: its name, F1, and counts by tape or block."""

    model: str
    variant: str
    layer: str
    f1: float
    counts: Counts


def paired_rows(runs: Sequence[Scored]) -> list[Row]:
    """Return a row per comparison, in the order of the runs.

    Each run is compared with the one of its layer that has the highest F1 (the first of equals), and each run of
    the layer `postrf` with the same run before the filter. Which run is best was seen on these very tapes.
    """
    best: dict[str, Scored] = {}
    for run in runs:
        if run.layer not in best or run.f1 > best[run.layer].f1:
            best[run.layer] = run
    baseline = {(run.model, run.variant): run for run in runs if run.layer == "evaluation"}
    rows = []
    for run in runs:
        if run is not best[run.layer]:
            rows.append(_row(run, best[run.layer], WITH_BEST))
        if run.layer == "postrf" and (run.model, run.variant) in baseline:
            rows.append(_row(run, baseline[run.model, run.variant], WITH_BASELINE))
    return [row for row in rows if row is not None]


def _row(run: Scored, other: Scored, compared: str) -> Row | None:
    found = difference(run.counts, other.counts)
    if found is None:
        return None
    return {
        "model": run.model,
        "variant": run.variant,
        "layer": run.layer,
        "other_model": other.model,
        "other_variant": other.variant,
        "other_layer": other.layer,
        "compared": compared,
        "n_tapes": found.n_tapes,
        "better": found.better,
        "worse": found.worse,
        "delta_f1": found.delta,
        "delta_f1_low": found.low,
        "delta_f1_high": found.high,
        "interval_by": found.by,
        "verdict": found.verdict,
    }
