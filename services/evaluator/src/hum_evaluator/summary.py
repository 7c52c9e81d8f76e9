"""The comparison as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from hum_evaluator.compare import Comparison
from hum_evaluator.metrics import Row
from hum_shared.config.decoding import DecoderFile
from hum_shared.words import listed

_COUNTS = {"n_gt": "calls", "n_pred": "pred"}
_RATES = {"precision": "P", "recall": "R", "f1": "F1"}
_ERRORS_MS = {"mean_dstart_ms": "Δstart ms", "mean_dend_ms": "Δend ms"}


def summary(rows: Sequence[Row]) -> Table:
    """Return runs with counts, precision, recall, F1 and mean absolute errors of start and end."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "variant", "layer"):
        table.add_column(title, no_wrap=True)
    for title in (*_COUNTS.values(), *_RATES.values(), *_ERRORS_MS.values()):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["model"]),
            str(row["variant"]),
            str(row["layer"]),
            *(f"{row[column]}" for column in _COUNTS),
            *(_decimals(row[column], 3) for column in _RATES),
            *(_decimals(row[column], 0) for column in _ERRORS_MS),
        )
    return table


def leakage_line(found: Comparison) -> str:
    """Return in one line whether benchmark data was seen before, and what could not be checked."""
    leaks = [certificate for certificate in found.certificates.values() if certificate.overlaps]
    missing = list(dict.fromkeys(line for one in found.certificates.values() for line in one.missing))
    checked = sum(bool(one.sources) for one in found.certificates.values())
    said = f"leakage: {len(leaks)} of {checked} models and layers that could be checked have seen benchmark data"
    by_name = sorted({model for (model, _), one in found.certificates.items() if one.sources and not one.by_audio})
    if by_name:
        said += f"; not all digests are known, a copy under another name may be missed: {listed(by_name)}"
    return f"{said}; not known: {'; '.join(missing)}" if missing else said


def tuning_summary(found: DecoderFile) -> Table:
    """Return what tuning found for each decoder: F1 by IoU on all tapes, and on tapes that were left out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("decoder", no_wrap=True)
    table.add_column("tried", justify="right", no_wrap=True)
    results = [(name, found.results[name]) for name in found.decoders]
    ious = list(next(iter(results[0][1]["f1_by_threshold"].values())))
    for title in (*(f"F1@{iou}" for iou in ious), *(f"left out @{iou}" for iou in ious)):
        table.add_column(title, justify="right", no_wrap=True)
    for name, result in results:
        by_threshold = result["f1_by_threshold"]
        chosen = by_threshold.get("0.5") or next(iter(by_threshold.values()))
        left_out = result["f1_left_out"] or {}
        table.add_row(
            name,
            str(result["n_settings"]),
            *(_decimals(chosen[iou], 3) for iou in ious),
            *(_decimals(left_out.get(iou), 3) for iou in ious),
        )
    return table


def _decimals(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"
