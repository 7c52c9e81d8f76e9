"""Selection tables that a person changed since they were written: kept aside before others take their place.

An index keeps the digests of its tables. While a run makes them anew there is no index; meanwhile they stand in
`tables.jsonl` beside it, a line for each table before it is written: a run that is killed may leave either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from hum_shared.errors import InputError
from hum_shared.files import append_text, sha256_file, write_text
from hum_shared.index import PredictionIndex, read_index
from hum_shared.layout import TABLE_SUFFIX

FOLDER = "edited"
RECORD = "tables.jsonl"


class WrittenTables:
    """The tables of a layer, as they were written.

    Parameters
    ----------
    tables
        Their folder.
    index_file
        Their index.
    """

    def __init__(self, tables: Path, index_file: Path):
        self._tables, self._index = tables, index_file
        self._record = index_file.with_name(RECORD)

    def begin(self) -> str | None:
        """Move tables that are no longer as they were written to `edited/<time>/`; to be called before the index goes.

        An index of an earlier version does not say how they were: there a table that is younger than it counts as
        changed. Where nothing is known, none is moved.

        Returns
        -------
        str or None
            What to tell the person; None where nothing was moved.

        Raises
        ------
        OSError
            When a table cannot be moved; it then lies where it lay.
        """
        written = self._known()
        present = [path for name in sorted(written) if (path := self._tables / name).is_file()]
        digests = {path: sha256_file(path) for path in present}
        edited = [path for path in present if digests[path] not in written[path.name]]
        aside = self._tables.parent / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        if edited:
            aside.mkdir(parents=True)
        for path in edited:
            path.rename(aside / path.name)
        kept = [_line(path.name, digest) for path, digest in digests.items() if path not in edited]
        write_text(self._record, "".join(kept))
        if not edited:
            return None
        return (
            f"{aside}: holds {len(edited)} tables that were changed by hand, the first is {edited[0].name}; they are "
            "made anew. What was marked there can be learnt from: hum-trainer mine CFG --from-selections"
        )

    def write(self, table: Path, text: str) -> None:
        """Write a table, atomically, and keep what it is like."""
        append_text(self._record, _line(table.name, hashlib.sha256(text.encode()).hexdigest()))
        write_text(table, text)

    def digests(self, tables: Iterable[Path]) -> dict[str, str]:
        """Return the name of each of these tables, all written, → its SHA-256; for the index."""
        noted = self._noted()
        return {path.name: noted[path.name][-1] for path in sorted(tables)}

    def end(self) -> None:
        """Forget the record: the index has it."""
        self._record.unlink(missing_ok=True)

    def _known(self) -> dict[str, list[str]]:
        if not self._index.exists():
            return self._noted()
        try:
            written = read_index(self._index, PredictionIndex).meta.tables
        except InputError:
            return {}  # not one of ours, or damaged
        if written is None and self._tables.is_dir():
            since_ns = self._index.stat().st_mtime_ns
            found = [path for path in self._tables.iterdir() if path.name.endswith(TABLE_SUFFIX)]
            written = {path.name: "" if path.stat().st_mtime_ns > since_ns else sha256_file(path) for path in found}
        return {name: [digest] for name, digest in (written or {}).items()}

    def _noted(self) -> dict[str, list[str]]:
        """Return name → all that a table was, or was about to be, since there is no index."""
        noted: dict[str, list[str]] = {}
        if self._record.is_file():
            *lines, _unfinished = self._record.read_text(encoding="utf-8").split("\n")
            for name, digest in map(json.loads, lines):
                noted.setdefault(str(name), []).append(str(digest))
        return noted


def _line(name: str, digest: str) -> str:
    return json.dumps([name, digest]) + "\n"
