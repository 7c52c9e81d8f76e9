"""The comparison as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from hum_evaluator.metrics import Row

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


def _decimals(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"
