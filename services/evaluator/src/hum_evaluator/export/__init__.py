"""Exports: the selections of a run in the formats of other programs. One module per format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hum_evaluator.export import as_audacity, as_counts, as_csv, as_json, as_parquet, as_raven
from hum_evaluator.export.rows import RunSelections, read_run
from hum_shared.command import warn
from hum_shared.config.evaluation import EXPORT_FORMATS, split_formats
from hum_shared.edited import FOLDER as EDITED
from hum_shared.errors import InputError
from hum_shared.files import read_json, sha256_file, write_json

FORMATS: dict[str, Callable[[RunSelections, Path], list[Path]]] = {
    "raven": as_raven.write,
    "audacity": as_audacity.write,
    "csv": as_csv.write,
    "parquet": as_parquet.write,
    "json": as_json.write,
    "counts": as_counts.write,
}
"""Name in `eval.cfg` and on the command line → writer of a run's selections into a folder; returns its files."""

FOLDER, RECORD = "export", "export.json"
"""In a layer's folder: where exports go unless another place is named, and what they were like when written."""

_STAGING = ".writing"
_PLACES = {
    "raven": "raven",
    "audacity": "audacity",
    "csv": "selections.csv",
    "parquet": "selections.parquet",
    "json": "selections.json",
    "counts": as_counts.FILE,
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
    return write_exports(read_run(run_root, stage), formats, run_root / stage, out)


def write_exports(
    selections: RunSelections, formats: Sequence[str], layer: Path, out: Path | None = None
) -> list[Path]:
    """Write selections in some of `FORMATS` into a folder; return the files, in the order of `formats`.

    Files in these formats that a person changed since they were written are moved to `edited/<time>/` there, with a
    warning; those in others stay.

    Parameters
    ----------
    layer
        The folder of the layer, which keeps what its exports were like.
    out
        Folder to fill; None for `FOLDER` in that of the layer.
    """
    folder = layer / FOLDER if out is None else out
    staging = folder / _STAGING
    _remove(staging)
    try:
        made = [path.relative_to(staging) for name in formats for path in FORMATS[name](selections, staging)]
        key = FOLDER if out is None else str(out.absolute())
        written = _put_in_place(staging, [path.as_posix() for path in made], folder, layer / RECORD, key)
    finally:
        _remove(staging)
    return written


def _put_in_place(staging: Path, made: Sequence[str], folder: Path, record: Path, key: str) -> list[Path]:
    """Move files from `staging` to `folder`; what a person changed there since it was written goes aside.

    The record holds the digests of both meanwhile, the old and the new file: a run that is killed may leave either.

    Parameters
    ----------
    made
        Their places in both folders.
    record, key
        The file that keeps what exports were like, and what it calls `folder`.
    """
    places: dict[str, dict[str, str | list[str]]] = read_json(record) if record.is_file() else {}
    known = {name: [digests] if isinstance(digests, str) else digests for name, digests in places.get(key, {}).items()}
    there = {name: digests for name, digests in known.items() if (folder / name).is_file()}
    edited = [name for name in made if name in there and sha256_file(folder / name) not in there[name]]
    aside = folder / EDITED / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    for name in edited:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(aside / name)
    if edited:
        warn(f"{aside}: holds {len(edited)} exported files that were changed by hand, the first is {edited[0]}")
    now = {name: sha256_file(staging / name) for name in made}
    if made:
        write_json(record, {**places, key: {**there, **{name: [*there.get(name, []), now[name]] for name in made}}})
    for name in made:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(folder / name)
    if made:
        kept = {name: digests[-1] for name, digests in there.items()}
        write_json(record, {**places, key: {**kept, **now}})
    return [folder / name for name in made]


def _remove(staging: Path) -> None:
    if staging.exists():
        shutil.rmtree(staging)


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


def left_of_earlier(formats: Sequence[str], written: Sequence[Path], folder: Path) -> list[str]:
    """Return what a folder holds beside the files in these formats that have just been written."""
    others = [place for name, place in _PLACES.items() if name not in formats and (folder / place).exists()]
    places = [folder / _PLACES[name] for name in formats]
    stale = {path for place in places if place.is_dir() for path in place.iterdir()} - set(written)
    return others + sorted(path.relative_to(folder).as_posix() for path in stale)


def are_there(formats: Sequence[str], folder: Path) -> bool:
    """Whether a folder holds all of these formats."""
    return all((folder / _PLACES[name]).exists() for name in formats)
