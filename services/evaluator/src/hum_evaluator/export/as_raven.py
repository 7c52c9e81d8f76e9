"""Raven: a selection table per recording, and one for all of them opened as one sequence.

Both carry `Begin File` and `File Offset (s)`, so that Raven Pro finds the sound of a row. In the table of all
recordings times run on from file to file in the order of their names, as Raven counts them when a folder is opened
as one sequence (File > Open Sound Files…, all files, "Open as one sequence").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from hum_evaluator.export.rows import Row, RunSelections
from hum_shared import names
from hum_shared.files import write_text
from hum_shared.layout import COMBINED_TABLE

COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "File Offset (s)",
    "Sound type",
    "Comments",
    "CNN logit (mean)",
)


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `raven/<recording stem>.Table.1.selections.txt` and `raven/all_recordings.txt`.

    The latter is left out where an old index does not say how long the recordings are.
    """
    written = []
    for recording, rows in run.by_recording.items():
        path = folder / "raven" / f"{names.recording_stem(recording)}.Table.1.selections.txt"
        write_text(path, table((row, 0.0) for row in rows))
        written.append(path)
    if run.lengths_s is not None:
        starts = dict(zip(run.lengths_s, accumulate(run.lengths_s.values(), initial=0.0), strict=False))
        write_text(folder / "raven" / COMBINED_TABLE, table((row, starts[row.recording]) for row in run.rows))
        written.append(folder / "raven" / COMBINED_TABLE)
    return written


def table(rows: Iterable[tuple[Row, float]]) -> str:
    """Return the text of a table of rows and the time (s) at which the file of each begins."""
    lines = ["\t".join(COLUMNS)]
    for number, (row, file_start_s) in enumerate(rows, start=1):
        entry = row.entry
        cells = (
            str(number),
            "Spectrogram 1",
            "1",
            _decimal(file_start_s + entry.start_s),
            _decimal(file_start_s + entry.end_s),
            _decimal(row.low_hz),
            _decimal(row.high_hz),
            row.recording,
            _decimal(entry.start_s),
            entry.label or "",
            "" if entry.rf_prob is None else f"rf_prob={entry.rf_prob:.6f}",
            "" if entry.cnn_logit_mean is None else f"{entry.cnn_logit_mean:.6f}",
        )
        lines.append("\t".join(re.sub(r"[\t\r\n]", " ", cell) for cell in cells))  # they would break the row
    return "\n".join(lines) + "\n"


def _decimal(value: float) -> str:
    # Always with a point: readers of a column without one take its numbers for integers.
    text = f"{value:.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
