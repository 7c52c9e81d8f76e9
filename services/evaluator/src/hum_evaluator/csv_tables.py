"""The comparison's CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from hum_evaluator.metrics import MORE_RUN_COLUMNS, MORE_TAPE_COLUMNS, RUN_COLUMNS, TAPE_COLUMNS, Row
from hum_evaluator.pairing import PAIRED_COLUMNS
from hum_shared.files import write_text

_RUN_KEYS = ("model", "variant", "layer")


def write_rows(path: Path, rows: Sequence[Row], *, per_tape: bool) -> None:
    """Write rows as CSV; None is an empty cell, numbers are rounded to 10 decimals."""
    first = (*TAPE_COLUMNS, "tape") if per_tape else RUN_COLUMNS
    _write_csv(path, rows, (*first, *_RUN_KEYS, *(MORE_TAPE_COLUMNS if per_tape else MORE_RUN_COLUMNS)))


def write_paired(path: Path, rows: Sequence[Row]) -> None:
    """Write differences between runs as CSV; see :func:`write_rows`."""
    _write_csv(path, rows, PAIRED_COLUMNS)


def _write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return repr(round(value, 10)) if isinstance(value, float) else str(value)
