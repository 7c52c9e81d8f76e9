"""JSON: the flat table as a list, with the recordings that were looked at."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hum_evaluator.export.rows import RunSelections
from hum_shared.files import write_json


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `selections.json`: `run`, `recordings` (name → seconds, null where unknown) and `selections`."""
    path = folder / "selections.json"
    rows = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in run.values(row).items()}
        for row in run.rows
    ]
    head = {"model": run.model, "variant": run.variant, "layer": run.layer}
    write_json(path, {"run": head, "recordings": run.lengths_s, "selections": rows})
    return [path]
