"""Parquet: the flat table with its types."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hum_evaluator.export.rows import COLUMNS, RunSelections
from hum_shared.files import atomic_path

_TEXT = ("model", "variant", "layer", "recording", "tape", "label")
_TYPES = {
    **dict.fromkeys(_TEXT, pa.string()),
    "selection": pa.int64(),
    "start_clock": pa.timestamp("ms"),
    "end_clock": pa.timestamp("ms"),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in COLUMNS])


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `selections.parquet`; clock times are timestamps without time zone."""
    path = folder / "selections.parquet"
    rows = [run.values(row) for row in run.rows]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary, compression="zstd")
    return [path]
