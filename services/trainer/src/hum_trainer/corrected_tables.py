"""Raven tables that a person corrected, read: which rows are calls and which are not, recording by recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared.files import sha256_file
from hum_shared.intervals import Intervals, as_intervals
from hum_shared.selections import Selection, read_selections
from hum_trainer.labelled_recordings import LabelledRecording
from hum_trainer.owners import Owners
from hum_trainer.raven_labels import (
    NOISE,
    is_combined,
    placed,
    rows_of_any,
    says_noise_elsewhere,
    table_files,
)


@dataclass(frozen=True)
class JudgedRow:
    """A row of a table, in seconds of its recording."""

    start_s: float
    end_s: float
    is_wrong: bool

    def contradicts(self, other: JudgedRow) -> bool:
        """Whether both share time and say opposite things of it."""
        return self.is_wrong != other.is_wrong and self.overlaps(other)

    def overlaps(self, other: JudgedRow) -> bool:
        """Whether both share time."""
        return self.start_s < other.end_s and other.start_s < self.end_s


@dataclass(frozen=True)
class CorrectedTables:
    """Corrected tables: their rows by recording, their digests, tables of no recording, and what to say of them."""

    rows_of: dict[str, list[JudgedRow]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_corrected(folder: Path, by_name: Mapping[str, LabelledRecording]) -> CorrectedTables:
    """Read the tables in and below a folder.

    Parameters
    ----------
    folder
        Of the tables.
    by_name
        Full file name → recording, for all of the corpus.

    Raises
    ------
    TableError
        When a recording's table cannot be read.
    """
    out, known_names = CorrectedTables(), Owners(by_name)
    tables = table_files(folder)
    for path in sorted(tables, key=lambda path: (path.parent, is_combined(path, tables), path)):
        table, name = path.relative_to(folder).as_posix(), known_names.of_table(path.name)
        rows = read_selections(path) if name is not None else rows_of_any(path) or []
        places = [placed(row, path.name, name, known_names) for row in rows]
        if name is None and not any(places):
            out.others.append(path.name)
            continue
        out.tables[table] = sha256_file(path)
        inside = [place is not None and place[1] < by_name[place[0]].dur_s for place in places]
        judged: dict[str, list[JudgedRow]] = {}
        for row, place, is_inside in zip(rows, places, inside, strict=True):
            if place is not None and is_inside:
                of, start_s, end_s = place[0], place[1], min(place[2], by_name[place[0]].dur_s)
                if end_s > start_s:
                    judged.setdefault(of, []).append(JudgedRow(start_s, end_s, _is_noise(row)))
        for of, now in judged.items():  # of two tables the later one counts: folders may be named by time
            known = out.rows_of.get(of, [])
            if is_combined(path, tables):  # what was exported twice counts where it was changed: noise is, and new rows
                now = [row for row in now if row.is_wrong or not any(map(row.overlaps, known))]
            out.rows_of[of] = [old for old in known if not any(map(old.contradicts, now))] + now
        if not all(inside):
            out.remarks.append(
                f"{table}: {inside.count(False)} rows are left out: behind the recording's end, or of a file that the "
                "corpus has not"
            )
        if (column := says_noise_elsewhere(rows)) is not None:
            out.remarks.append(f"{table}: column {column!r} says noise, but only 'Sound type' is read: all are calls")
    return out


def _is_noise(row: Selection) -> bool:
    return row.sound_type.strip().lower() == NOISE


def times_of(rows: Sequence[JudgedRow]) -> Intervals:
    """Return begin and end of rows, seconds, shape (n, 2)."""
    return as_intervals((row.start_s, row.end_s) for row in rows)
