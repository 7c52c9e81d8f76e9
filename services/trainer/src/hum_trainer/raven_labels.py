"""Labelled hums from Raven selection tables, for a corpus that has no cut-out hums.

A table belongs to the recording whose name, with or without its suffix, the table's name starts with; the longest
such name wins (`a.Table.1.selections.txt`, `a.wav.txt` and `a_predict_output.log.annotation.result.txt` belong to
`a.wav`). Rows of a table that Raven made of several files belong to the one in column `Begin File`, at the time in
`File Offset (s)`. Rows whose sound type is `noise` are no hums. Quality is the number in a column named `Q` or
`Quality`, else the one in `Q2`, `q 2` or `quality: 2` anywhere in sound type or comments, else unknown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PureWindowsPath

from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.layout import COMBINED_TABLE, DATASET_PREFIX, TABLE_SUFFIX
from hum_shared.recordings import files_below
from hum_shared.selections import Selection, read_selections
from hum_shared.words import listed
from hum_trainer.labels import LabelledHum, Problem
from hum_trainer.owners import Owners

NOISE = "noise"
"""Sound type of what is no call."""

_NUMBERED = re.compile(r"[\s_-]*\(?\d")
_QUALITY = re.compile(r"(?<![^\W_])(?:q|quality)[\s:=]*(\d)(?!\d)", re.I)
_KIND_COLUMNS = frozenset({"species", "taxon", "annotation", "label", "class"})
_SAME_S = 1e-3
_TABLE_SUFFIXES = (".txt", ".tsv")


def table_files(root: Path) -> list[Path]:
    """Return the files of `root` that may be selection tables, sorted; hidden ones and datasets are left out.

    Linked folders count, as where a corpus is mirrored by links.
    """
    found = []
    for path in files_below(root):
        dataset = path.relative_to(root).parts[0].startswith(DATASET_PREFIX)
        if path.suffix.lower() in _TABLE_SUFFIXES and not path.name.startswith(".") and not dataset:
            found.append(path)
    return sorted(path for path in found if path.is_file())


def _starts(table: str, start: str) -> bool:
    """Whether a table's name starts with another and that ends there: `a1.txt` is no table of `a.wav`."""
    table, start = names.composed(table), names.composed(start)
    return table.startswith(start) and not table[len(start) :][:1].isalnum()


def _is_numbered(table: str, recording: str) -> bool:
    """Whether a table's name goes on after its recording's with a number, as that of a clip or of a next file does."""
    table = names.composed(table)
    starts = (names.composed(start) for start in (recording, names.recording_stem(recording)))
    start = next(start for start in starts if table.startswith(start))
    return _NUMBERED.match(table[len(start) :]) is not None


def placed(
    selection: Selection, table: str, of_table: str | None, recordings: Owners
) -> tuple[str, float, float] | None:
    """Return which recording a row belongs to, and its begin and end there in seconds; None when to none of them.

    Parameters
    ----------
    selection
        A row. Where it names its file and the time in it, its own times are those of a sequence of files.
    table
        The file name of its table.
    of_table
        The recording that the table's name starts with; None for none.
    """
    file, offset_s = _file_and_offset(selection)
    as_it_stands = None if of_table is None else (of_table, selection.begin_s, selection.end_s)
    if not file:
        return as_it_stands
    same = recordings.named(file)
    stem = names.recording_stem(names.composed(file))
    if not same and _starts(table, stem) and len(stem) > len(names.recording_stem(names.composed(of_table or ""))):
        return None  # a table of that file, which is not here: `a_2.txt` beside `a.wav`
    if len(same) != 1:  # renamed since, perhaps: as long as the times are those of one file, the table's name counts
        of_one_file = offset_s is None or abs(offset_s - selection.begin_s) < _SAME_S
        return as_it_stands if of_one_file else None
    # In a table of one file, as it is exported, the offset may be left from before a person moved the start.
    is_moved = offset_s is not None and abs(offset_s - selection.begin_s) < selection.end_s - selection.begin_s
    if same[0] == of_table and (offset_s is None or is_moved):
        return as_it_stands
    if offset_s is None:
        return None
    return same[0], offset_s, offset_s + (selection.end_s - selection.begin_s)


def _file_and_offset(selection: Selection) -> tuple[str, float | None]:
    """Return the file that a row names, empty for none, and the time in it in seconds."""
    cells = {"".join(filter(str.isalnum, name.lower())): cell.strip() for name, cell in selection.extra.items()}
    return PureWindowsPath(cells.get("beginfile", "")).name, _seconds(cells.get("fileoffsets", ""))


def says_noise_elsewhere(rows: Sequence[Selection]) -> str | None:
    """Return the column in which a table without sound types says noise; None where there is none.

    Such rows are taken for calls: which column tells types is not guessed.
    """
    if any(row.sound_type.strip() for row in rows):
        return None
    found = (name for row in rows for name, cell in row.extra.items() if cell.strip().lower() == NOISE)
    return next(found, None)


def _seconds(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def is_combined(path: Path, tables: Iterable[Path]) -> bool:
    """Whether a table is that of all recordings of an export, and lies beside the tables of each."""
    return path.name == COMBINED_TABLE and any(one.parent == path.parent and one != path for one in tables)


def rows_of_any(path: Path) -> list[Selection] | None:
    """Return the rows of a text file; None where it is no table."""
    try:
        return read_selections(path)
    except InputError:
        return None  # some other text file of the corpus, for example a README


def read_tables(root: Path, recordings: Iterable[str]) -> tuple[list[LabelledHum], list[Problem], set[str]]:
    """Read the selection tables in and below `root`.

    Parameters
    ----------
    recordings
        Full file names of the corpus's recordings.

    Returns
    -------
    hums
        In the order of tables and rows.
    problems
        Tables without a recording, rows without length or of another file, tables that say noise where it is not read.
    labelled
        Recordings that have a table, also an empty one.

    Raises
    ------
    TableError
        When a recording's table cannot be read.
    """
    known = Owners(recordings)
    hums: list[LabelledHum] = []
    problems: list[Problem] = []
    labelled: set[str] = set()
    taken: list[tuple[str, Selection]] = []
    tables = table_files(root)
    for path in tables:
        relative = path.relative_to(root).as_posix()
        if is_combined(path, tables):
            message = f"{relative}: left out: it says again what the tables beside it say of each recording"
            problems.append(Problem("table", relative, message, left_out=True))
            continue
        recording = known.of_table(path.name)
        rows = read_selections(path) if recording is not None else rows_of_any(path)
        places = [placed(row, path.name, recording, known) for row in rows or ()]
        if recording is None and not any(places):
            if rows is not None:
                message = f"{relative}: left out: no recording has a name that this table's starts with"
                problems.append(Problem("table", relative, message, left_out=True))
            continue
        labelled |= {place[0] for place in places if place}
        if recording is not None and not rows:  # an empty table says that there are no calls
            labelled.add(recording)
        by_name = [row for row in rows or () if not _file_and_offset(row)[0]]
        if recording is not None and by_name and _is_numbered(path.name, recording):
            message = f"{relative}: taken for a table of {recording}; if it is of a part of that or of another, move it"
            problems.append(Problem("table", relative, message, left_out=False))
        column = says_noise_elsewhere(rows or ())
        if column is not None:
            message = (
                f"{relative}: column {column!r} says noise, but types are read from 'Sound type': all rows are calls"
            )
            problems.append(Problem("table", relative, message, left_out=False))
        for row, (selection, place) in enumerate(zip(rows or (), places, strict=True), start=1):
            if selection.sound_type.strip().lower() == NOISE:
                continue
            source = f"{relative} selection {row}"
            if place is None:
                message = f"{source}: left out: its Begin File is none of the corpus's recordings"
                problems.append(Problem("table", relative, message, left_out=True))
                continue
            of, begin_s, end_s = place
            if selection.end_s <= selection.begin_s:
                message = f"{source}: left out: it has no length (begins and ends at {selection.begin_s:g} s)"
                problems.append(Problem("table", relative, message, left_out=True))
                continue
            hums.append(LabelledHum(source, None, of, begin_s, end_s, quality_of(selection)))
            taken.append((relative, selection))
    problems += _several_kinds(taken)
    return hums, problems, labelled


def unread_tables(root: Path, recordings: Collection[str], with_calls: Collection[str]) -> list[Problem]:
    """Return a problem for each recording without cut-out calls whose selection table holds calls.

    Where calls are cut out tables are not read, so that these would be learnt as background.

    Parameters
    ----------
    recordings
        Full file names of all recordings; those of other recordings' tables are not taken for theirs.
    with_calls
        Those of which calls are cut out.
    """
    known = Owners(recordings)
    counts: Counter[str] = Counter()
    for path in table_files(root):
        recording = known.of_table(path.name)
        if recording is None or recording in with_calls or path.name.endswith(TABLE_SUFFIX):  # what a model found
            continue
        rows = rows_of_any(path) or ()
        counts[recording] += sum(row.sound_type.strip().lower() != NOISE for row in rows)
    return [
        Problem(
            "table",
            name,
            f"{name}: none of its calls are cut out, and the {count} of its selection table are not read: they count "
            "as background. Read tables instead of cut-outs with --from-selections (hum-trainer selection-tables "
            "writes those of cut-out calls)",
            left_out=True,
        )
        for name, count in sorted(counts.items())
        if count
    ]


def _several_kinds(hums: Iterable[tuple[str, Selection]]) -> list[Problem]:
    """Return a problem for each column by which rows that are taken for calls may be of several kinds."""
    kinds: dict[str, Counter[str]] = {}
    source: dict[str, str] = {}
    for table, row in hums:
        for column, cell in row.extra.items():
            kind = cell.strip().casefold()
            if column.strip().lower() in _KIND_COLUMNS and kind and _seconds(kind) is None:
                kinds.setdefault(column, Counter())[kind] += 1
                source.setdefault(column, table)
    return [
        Problem(
            "table",
            source[column],
            f"column {column!r} says {_kinds(found)}, but types are read from 'Sound type': all rows are calls. "
            "Remove the others' rows, or write noise as their Sound type",
            left_out=False,
        )
        for column, found in sorted(kinds.items())
        if 1 < len(found) <= found.total() / 2  # free text says something else in nearly every row
    ]


def _kinds(found: Counter[str]) -> str:
    return listed(f"{kind!r} ({count})" for kind, count in found.most_common())


def quality_of(selection: Selection) -> int | None:
    """Return the quality a row gives; None when it gives none."""
    for column, cell in selection.extra.items():
        if column.strip().lower() in ("q", "quality") and (
            digits := re.fullmatch(r"[Qq]?\s*(\d)(?:\.0+)?", cell.strip())
        ):
            return int(digits[1])
    found = _QUALITY.search(selection.sound_type) or _QUALITY.search(selection.comments)
    return int(found[1]) if found else None
