"""Audacity: one label file per recording (File > Import > Labels…)."""

from __future__ import annotations

from pathlib import Path

from hum_evaluator.export.rows import RunSelections
from hum_shared import names
from hum_shared.files import write_text


def write(run: RunSelections, folder: Path) -> list[Path]:
    """Write `audacity/<recording stem>.txt`: start, end, label per line; empty for a recording without selections."""
    written = []
    for recording, rows in run.by_recording.items():
        path = folder / "audacity" / f"{names.recording_stem(recording)}.txt"
        lines = (
            f"{row.entry.start_s:.6f}\t{row.entry.end_s:.6f}\t{' '.join((row.entry.label or '').split())}\n"
            for row in rows
        )
        write_text(path, "".join(lines))
        written.append(path)
    return written
