"""Exports: the selections of a run in the formats of other programs. One module per format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hum_evaluator.export import as_audacity, as_csv, as_json, as_parquet, as_raven
from hum_evaluator.export.rows import RunSelections, read_run
from hum_shared.config.evaluation import EXPORT_FORMATS, split_formats
from hum_shared.errors import InputError

FORMATS: dict[str, Callable[[RunSelections, Path], list[Path]]] = {
    "raven": as_raven.write,
    "audacity": as_audacity.write,
    "csv": as_csv.write,
    "parquet": as_parquet.write,
    "json": as_json.write,
}
"""Name in `eval.cfg` and on the command line → writer of a run's selections into a folder; returns its files."""

_PLACES = {
    "raven": "raven",
    "audacity": "audacity",
    "csv": "selections.csv",
    "parquet": "selections.parquet",
    "json": "selections.json",
}


def export(run_root: Path, stage: str, formats: Sequence[str], out: Path | None = None) -> list[Path]:
    """Write the selections of a run in some of `FORMATS`; return the files.

    Parameters
    ----------
    run_root
        The run: ``<run_root>/<stage>/index.json`` and the tables it names are read.
    stage
        ``evaluation`` or ``postrf``.
    out
        Folder to fill; None for ``<run_root>/<stage>/export``.

    Raises
    ------
    InputError
        When the index or a table is missing or broken.
    """
    return write_exports(read_run(run_root, stage), formats, out or run_root / stage / "export")


def write_exports(selections: RunSelections, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write selections in some of `FORMATS` into a folder; return the files, in the order of `formats`."""
    return [path for name in formats for path in FORMATS[name](selections, folder)]


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats of a list with commas.

    Raises
    ------
    InputError
        When it names none, or one that is unknown.
    """
    known, unknown = split_formats(text)
    if unknown or not known:
        what = f"no format {', '.join(unknown)}" if unknown else "no format given"
        raise InputError(f"--format {text}: {what}; known: {', '.join(EXPORT_FORMATS)}")
    return known


def left_of_earlier(formats: Sequence[str], folder: Path) -> list[str]:
    """Return what a folder holds in other formats than these, which have just been written."""
    return [place for name, place in _PLACES.items() if name not in formats and (folder / place).exists()]


def are_there(formats: Sequence[str], folder: Path) -> bool:
    """Whether a folder holds all of these formats."""
    return all((folder / _PLACES[name]).exists() for name in formats)
