"""What all exports start from: a run's selections with frequency limits, places on the tape, and clock times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from hum_evaluator.layers import mismatch_of_run
from hum_shared import names
from hum_shared.command import warn
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.index import PredictionEntry, PredictionIndex, RecordingInfo, read_index
from hum_shared.layout import LAYER_INDEX
from hum_shared.selections import read_selections

COLUMNS = (
    "model",
    "variant",
    "layer",
    "recording",
    "tape",
    "selection",
    "start_s",
    "end_s",
    "dur_s",
    "tape_start_s",
    "tape_end_s",
    "start_clock",
    "end_clock",
    "low_hz",
    "high_hz",
    "label",
    "cnn_logit_mean",
    "score_max",
    "confidence",
    "rf_prob",
)
"""Columns of the flat tables; `selection` counts from 1 within each recording, clocks are the recorder's."""

Value = str | int | float | datetime | None


@dataclass(frozen=True)
class Row:
    """One selection.

    Attributes
    ----------
    entry
        As the index has it.
    recording
        Full file name; in old indexes, which do not say, the table's stem with ``.wav``.
    number
        From 1 within the recording.
    low_hz, high_hz
        Frequency limits, as the recording's table has them.
    """

    entry: PredictionEntry
    recording: str
    number: int
    low_hz: float
    high_hz: float

    @property
    def clock(self) -> tuple[datetime | None, datetime | None]:
        """When it starts and ends by the recorder's clock; None where the tape's name carries no time."""
        start = names.tape_start(self.recording)
        if start is None:
            return None, None
        first_s, last_s = self.entry.tape_interval_s()
        return start + timedelta(seconds=round(first_s, 3)), start + timedelta(seconds=round(last_s, 3))


@dataclass(frozen=True)
class RunSelections:
    """The selections of one layer of a run.

    Attributes
    ----------
    model, variant, layer
        Which run.
    rows
        By recording, then time.
    recordings
        Every recording that was looked at, sorted by name; None in old indexes.
    """

    model: str
    variant: str
    layer: str
    rows: tuple[Row, ...]
    recordings: tuple[RecordingInfo, ...] | None

    @cached_property
    def lengths_s(self) -> dict[str, float] | None:
        """Recording → its length, of every recording that was looked at, sorted; None in old indexes."""
        return None if self.recordings is None else {info.name: info.dur_s for info in self.recordings}

    @cached_property
    def by_recording(self) -> dict[str, list[Row]]:
        """Recording → its rows, also for recordings without any, sorted."""
        found: dict[str, list[Row]] = {name: [] for name in self.lengths_s or {}}
        for row in self.rows:
            found.setdefault(row.recording, []).append(row)
        return dict(sorted(found.items()))

    def values(self, row: Row) -> dict[str, Value]:
        """Return a row's values by `COLUMNS`."""
        entry, (start_clock, end_clock) = row.entry, row.clock
        first_s, last_s = entry.tape_interval_s()
        found: tuple[Value, ...] = (
            self.model,
            self.variant,
            self.layer,
            row.recording,
            names.parse_recording(entry.tape).tape,
            row.number,
            entry.start_s,
            entry.end_s,
            entry.dur_s,
            round(first_s, 3),
            round(last_s, 3),
            start_clock,
            end_clock,
            row.low_hz,
            row.high_hz,
            entry.label,
            entry.cnn_logit_mean,
            entry.score_max,
            entry.confidence,
            entry.rf_prob,
        )
        return dict(zip(COLUMNS, found, strict=True))


def read_run(run_root: Path, stage: str) -> RunSelections:
    """Read one layer of a run.

    Raises
    ------
    InputError
        When its index or a table is missing or broken.
    """
    index = read_index(run_root / stage / LAYER_INDEX, PredictionIndex)
    if (wrong := mismatch_of_run(run_root, stage, index)) is not None:
        warn(wrong)
    return selections_of(run_root, stage, index)


def selections_of(run_root: Path, stage: str, index: PredictionIndex) -> RunSelections:
    """Return what an index of a run holds; frequency limits are read from the run's tables.

    Raises
    ------
    InputError
        When a table is missing or broken.
    """
    run = run_root.absolute()
    scored = index.meta.recordings
    recordings = None if scored is None else tuple(sorted(scored, key=lambda one: one.name))
    rows = _rows(index.entries, _limits_hz(run_root, index))
    return RunSelections(run.parent.name, run.name, stage, tuple(rows), recordings)


def _rows(entries: Sequence[PredictionEntry], limits: Mapping[str, tuple[float, float]]) -> list[Row]:
    counts: dict[str, int] = {}
    rows = []
    for entry in sorted(entries, key=lambda one: (one.recording_name, one.start_s, one.end_s, one.uid)):
        if (entry.label or "").lower() == "noise":
            continue
        name = entry.recording_name
        counts[name] = counts.get(name, 0) + 1
        rows.append(Row(entry, name, counts[name], *limits[entry.pred_path]))
    return rows


def _limits_hz(run_root: Path, index: PredictionIndex) -> dict[str, tuple[float, float]]:
    """Return the frequency limits of each table's selections; they are the model's, so one row says them all.

    In a table that a person changed a row may be theirs: there they are those of the other tables.
    """
    written = index.meta.tables or {}
    found: dict[str, tuple[float, float]] = {}
    changed: list[str] = []
    for name in dict.fromkeys(entry.pred_path for entry in index.entries):
        table = run_root / name
        if not table.is_file():
            raise InputError(f"{table}: no such table, but the index names it. Run the stage that writes it again.")
        if written.get(table.name, digest := sha256_file(table)) != digest:
            changed.append(name)
        elif rows := read_selections(table):
            found[name] = rows[0].low_hz, rows[0].high_hz
    if changed:
        warn(f"{run_root}: {len(changed)} tables were changed by hand, the first is {changed[0]}; the index counts")
    usual = next(iter(found.values()), None)
    for name in changed:
        rows = read_selections(run_root / name)
        found[name] = usual or ((rows[0].low_hz, rows[0].high_hz) if rows else (0.0, 0.0))
    return {entry.pred_path: found.get(entry.pred_path, (0.0, 0.0)) for entry in index.entries}
