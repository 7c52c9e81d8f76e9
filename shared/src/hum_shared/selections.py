"""Raven selection tables: tab-separated text, one row per selection.

Reading is tolerant about how columns are spelled and ordered, and keeps columns it does not know. Writing is
exact: the same rows give the same bytes.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared.errors import TableError
from hum_shared.files import read_text, write_text

BASE_COLUMNS = ("Selection", "View", "Channel", "Begin time (s)", "End time (s)", "Low Freq (Hz)", "High Freq (Hz)")
LOGIT_COLUMN = "CNN logit (mean)"
EVALUATION_COLUMNS = (*BASE_COLUMNS, "Sound type", "Comments", LOGIT_COLUMN)
POSTRF_COLUMNS = (*BASE_COLUMNS, LOGIT_COLUMN, "Sound type", "Comments")
CORPUS_COLUMNS = (*BASE_COLUMNS, "Sound type", "Comments")

_REQUIRED = ("Begin time (s)", "End time (s)")
_KNOWN = {"".join(c for c in name.lower() if c.isalnum()): name for name in EVALUATION_COLUMNS}


@dataclass(frozen=True)
class Selection:
    """One row of a selection table.

    Attributes
    ----------
    begin_s, end_s
        Seconds from the start of the recording file.
    low_hz, high_hz
        Frequency limits; 0 when the table gives none.
    sound_type, comments
        Free text.
    cnn_logit_mean
        Mean log-odds of the CNN over the selection; None when unknown.
    extra
        Columns this module does not know, in the order of the file.
    """

    begin_s: float
    end_s: float
    low_hz: float = 0.0
    high_hz: float = 0.0
    sound_type: str = ""
    comments: str = ""
    cnn_logit_mean: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SelectionTable:
    """A selection table as it was read.

    Attributes
    ----------
    rows
        Its selections.
    numbers
        What each has in column ``Selection``, or its place, from 1, where not all rows have a number of their own.
    extra_columns
        Columns this module does not know, in the order of the file.
    """

    rows: list[Selection]
    numbers: list[int]
    extra_columns: tuple[str, ...]


def read_selections(path: Path) -> list[Selection]:
    """Read the rows of a selection table; see :func:`read_selection_table`."""
    return read_selection_table(path).rows


def read_selection_table(path: Path) -> SelectionTable:
    """Read a selection table.

    Column names are matched without case, blanks and punctuation (``Begin Time (s)``, ``Sound_type``); order,
    blank lines, Windows line ends and a BOM do not matter. A table with a header and no rows has no selections. Rows of
    Raven's second view (``Waveform``) of the same selection are read once.

    Raises
    ------
    TableError
        When the file is empty, a needed column is missing, or a number is not one; names file and line.
    """
    lines = enumerate(csv.reader(io.StringIO(read_text(path)), delimiter="\t", quoting=csv.QUOTE_NONE), start=1)
    rows = [(line, cells) for line, cells in lines if any(cell.strip() for cell in cells)]
    if not rows:
        raise TableError(f"{path}: empty; expected a header with {', '.join(_REQUIRED)}")
    header = [_KNOWN.get("".join(c for c in cell.lower() if c.isalnum()), cell.strip()) for cell in rows[0][1]]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise TableError(f"{path}: no column {', '.join(missing)}; found: {', '.join(header)} (tab-separated?)")
    numbered = [(line, dict(zip(header, cells, strict=False))) for line, cells in rows[1:]]
    in_spectrogram = {row.get("Selection") for _, row in numbered if not _is_waveform(row)}
    read = [(line, row) for line, row in numbered if not (_is_waveform(row) and row.get("Selection") in in_spectrogram)]
    return SelectionTable(
        [_selection(row, path, line) for line, row in read],
        _numbers([row.get("Selection", "").strip() for _, row in read]),
        tuple(dict.fromkeys(name for name in header if name not in EVALUATION_COLUMNS)),
    )


def format_selections(
    selections: Iterable[Selection], columns: Sequence[str] = EVALUATION_COLUMNS, extra_columns: Sequence[str] = ()
) -> str:
    """Return the text of a selection table, numbered from 1 in the order given.

    Parameters
    ----------
    selections
        The rows; none gives a table with the header alone.
    columns
        Known columns, in order.
    extra_columns
        Others, behind them; those in `extra` of any row follow, where they are not among these.
    """
    rows = list(selections)
    extra = list(dict.fromkeys([*extra_columns, *(name for row in rows for name in row.extra)]))
    lines = ["\t".join((*columns, *map(_clean, extra)))]
    for number, row in enumerate(rows, start=1):
        known = _cells(row, number)
        lines.append("\t".join([*(known[name] for name in columns), *(_clean(row.extra.get(n, "")) for n in extra)]))
    return "\n".join(lines) + "\n"


def write_selections(
    path: Path,
    selections: Iterable[Selection],
    columns: Sequence[str] = EVALUATION_COLUMNS,
    extra_columns: Sequence[str] = (),
) -> None:
    """Write a selection table atomically; see :func:`format_selections`."""
    write_text(path, format_selections(selections, columns, extra_columns))


def _numbers(cells: Sequence[str]) -> list[int]:
    if len(set(cells)) == len(cells) and all(cell.isascii() and cell.isdigit() for cell in cells):
        return [int(cell) for cell in cells]
    return list(range(1, len(cells) + 1))


def _is_waveform(row: Mapping[str, str]) -> bool:
    return row.get("View", "").lower().startswith("waveform")


def _selection(row: Mapping[str, str], path: Path, line: int) -> Selection:
    def number(name: str) -> float | None:
        text = row.get(name, "").strip()
        if not text:
            return None
        try:
            value = math.nan if "_" in text else float(text)  # float() reads 1_0 as 10
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise TableError(f"{path} line {line}: {name} is {text!r}, not a number")
        return value

    begin_s, end_s = number("Begin time (s)"), number("End time (s)")
    if begin_s is None or end_s is None:
        raise TableError(f"{path} line {line}: begin or end time is missing")
    if not 0 <= begin_s <= end_s:
        raise TableError(f"{path} line {line}: begin {begin_s} s and end {end_s} s are no interval")
    return Selection(
        begin_s=begin_s,
        end_s=end_s,
        low_hz=number("Low Freq (Hz)") or 0.0,
        high_hz=number("High Freq (Hz)") or 0.0,
        sound_type=row.get("Sound type", ""),
        comments=row.get("Comments", ""),
        cnn_logit_mean=number(LOGIT_COLUMN),
        extra={name: cell for name, cell in row.items() if name not in EVALUATION_COLUMNS},
    )


def _cells(row: Selection, number: int) -> dict[str, str]:
    return {
        "Selection": str(number),
        "View": "Spectrogram_1",
        "Channel": "1",
        "Begin time (s)": _decimal(row.begin_s),
        "End time (s)": _decimal(row.end_s),
        "Low Freq (Hz)": _decimal(row.low_hz),
        "High Freq (Hz)": _decimal(row.high_hz),
        "Sound type": _clean(row.sound_type),
        "Comments": _clean(row.comments),
        LOGIT_COLUMN: "" if row.cnn_logit_mean is None else f"{row.cnn_logit_mean:.6f}",
    }


def _decimal(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"


def _clean(text: str) -> str:
    return re.sub(r"[\t\r\n]", " ", text)  # they would break the row
