"""Training curves of the models in a workspace, from the CSV that training leaves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.errors import TableError
from hum_shared.files import read_text

CURVES = "curves.csv"


@dataclass(frozen=True)
class TrainingCurves:
    """History of a model, or of one of its networks: column → values, one per evaluation; `epoch` among them."""

    model: str
    columns: dict[str, list[float | None]]


def find_models(runs_dir: Path) -> Path | None:
    """Return the folder of models of the workspace that a folder of runs lies in; None outside one."""
    for folder in runs_dir.absolute().parents:
        if (folder / "TRAINING" / "runs" / "models").is_dir():
            return folder / "TRAINING" / "runs" / "models"
    return None


def read_training(models_dir: Path, models: Sequence[str]) -> list[TrainingCurves]:
    """Read the curves of those models that have any, in the order given.

    Raises
    ------
    TableError
        When a file is there and is no table with a column `epoch`.
    """
    found = []
    for model in models:
        folder = models_dir / model / "summaries"
        # A model of several networks has a folder for each.
        for path in sorted([*folder.glob(CURVES), *folder.glob(f"fold*/{CURVES}")]):
            part = path.parent.name.removeprefix("fold")
            name = (
                model if path.parent == folder else f"{model} · network {int(part) + 1 if part.isdecimal() else part}"
            )
            found.append(TrainingCurves(name, parse_curves(read_text(path), path)))
    return found


def parse_curves(text: str, source: Path) -> dict[str, list[float | None]]:
    """Return the columns of a `curves.csv`; cells that are empty or no number are None."""
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    if "epoch" not in (reader.fieldnames or ()):
        raise TableError(f"{source}: no column epoch; found: {', '.join(reader.fieldnames or ()) or 'nothing'}")
    return {name: [_value(row.get(name)) for row in rows] for name in reader.fieldnames or ()}


def _value(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
