"""Selection tables that a person changed since they were written: kept aside before others take their place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.index import PredictionIndex, read_index

FOLDER = "edited"


def table_digests(tables: Iterable[Path]) -> dict[str, str]:
    """Return the name of each table → its SHA-256, sorted by name; what an index keeps of the tables it belongs to."""
    return {path.name: sha256_file(path) for path in sorted(tables)}


def keep_edited(tables: Path, index_file: Path) -> str | None:
    """Move tables that are no longer as they were written to `edited/<time>/`, beside their folder.

    Parameters
    ----------
    tables
        The folder of the tables.
    index_file
        Their index; without one, or with one that does not say how they were written, none is moved.

    Returns
    -------
    str or None
        What to tell the person; None where nothing was moved.

    Raises
    ------
    OSError
        When a table cannot be moved; it then lies where it lay.
    """
    if not index_file.exists():
        return None
    try:
        written = read_index(index_file, PredictionIndex).meta.tables or {}
    except InputError:
        return None  # not one of ours, or damaged
    present = [path for name in sorted(written) if (path := tables / name).is_file()]
    edited = [path for path in present if sha256_file(path) != written[path.name]]
    if not edited:
        return None
    aside = tables.parent / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    aside.mkdir(parents=True)
    for path in edited:
        path.rename(aside / path.name)
    return (
        f"{aside}: holds {len(edited)} tables that were changed by hand, the first is {edited[0].name}; written anew "
        "in their place. What was marked there can be learnt from: hum-trainer mine CFG --from-selections"
    )
