"""Labelled hums from Raven selection tables, for a corpus that has no cut-out hums.

A table belongs to the recording whose name, with or without its suffix, the table's name starts with; the longest
such name wins (`a.Table.1.selections.txt`, `a.wav.txt` and `a_predict_output.log.annotation.result.txt` belong to
`a.wav`). Rows whose sound type is `noise` are no hums. Quality is the number in a column named `Q` or `Quality`,
else the one in `Q2`, `q 2` or `quality: 2` anywhere in sound type or comments, else unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.selections import Selection, read_selections
from hum_trainer.corpus import DATASET_PREFIX
from hum_trainer.labels import LabelledHum, Problem

_QUALITY = re.compile(r"(?<![^\W_])(?:q|quality)[\s:=]*(\d)(?!\d)", re.I)
_TABLE_SUFFIXES = (".txt", ".tsv")


def table_files(root: Path) -> list[Path]:
    """Return the files of `root` that may be selection tables, sorted; hidden ones and datasets are left out."""
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.suffix.lower() in _TABLE_SUFFIXES and not hidden and not parts[0].startswith(DATASET_PREFIX):
            found.append(path)
    return sorted(path for path in found if path.is_file())


def recording_of(table: str, recordings: Iterable[str]) -> str | None:
    """Return which of `recordings` a table's file name belongs to; None when to none of them."""
    best: tuple[int, str] | None = None
    for recording in recordings:
        for start in (names.recording_stem(recording), recording):
            # The name must end where `start` ends: `a1.txt` is no table of `a.wav`.
            if table.startswith(start) and not table[len(start) :][:1].isalnum():
                best = max(best or (0, ""), (len(start), recording))
    return best[1] if best else None


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
        Tables without a recording, rows without length.
    labelled
        Recordings that have a table, also an empty one.

    Raises
    ------
    TableError
        When a recording's table cannot be read.
    """
    known = sorted(recordings)
    hums: list[LabelledHum] = []
    problems: list[Problem] = []
    labelled: set[str] = set()
    for path in table_files(root):
        relative = path.relative_to(root).as_posix()
        recording = recording_of(path.name, known)
        if recording is None:
            if _is_table(path):
                message = f"{relative}: left out: no recording has a name that this table's starts with"
                problems.append(Problem("table", relative, message, left_out=True))
            continue
        labelled.add(recording)
        for row, selection in enumerate(read_selections(path), start=1):
            if selection.sound_type.strip().lower() == "noise":
                continue
            source = f"{relative} selection {row}"
            if selection.end_s <= selection.begin_s:
                message = f"{source}: left out: it has no length (begins and ends at {selection.begin_s:g} s)"
                problems.append(Problem("table", relative, message, left_out=True))
                continue
            hums.append(LabelledHum(source, None, recording, selection.begin_s, selection.end_s, quality_of(selection)))
    return hums, problems, labelled


def quality_of(selection: Selection) -> int | None:
    """Return the quality a row gives; None when it gives none."""
    for column, cell in selection.extra.items():
        if column.strip().lower() in ("q", "quality") and (
            digits := re.fullmatch(r"[Qq]?\s*(\d)(?:\.0+)?", cell.strip())
        ):
            return int(digits[1])
    found = _QUALITY.search(selection.sound_type) or _QUALITY.search(selection.comments)
    return int(found[1]) if found else None


def _is_table(path: Path) -> bool:
    try:
        read_selections(path)
    except InputError:
        return False  # some other text file of the corpus, for example a README
    return True
