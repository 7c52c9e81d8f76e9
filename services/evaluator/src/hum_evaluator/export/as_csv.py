"""CSV: one flat table of all recordings."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

from hum_evaluator.export.rows import COLUMNS, RunSelections, Value
from hum_shared.files import write_text


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `selections.csv`; empty cells are unknown, clock times are ISO 8601 without time zone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in run.values(row).values()] for row in run.rows)
    write_text(folder / "selections.csv", text.getvalue())
    return [folder / "selections.csv"]


def _cell(value: Value) -> Value:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
