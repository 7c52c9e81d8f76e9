"""Hard negatives: confident false alarms on training tapes, and what a person corrected in Raven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hum_shared.config.cfg import validate
from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders import Windows
from hum_shared.errors import InputError
from hum_shared.files import read_json, write_json
from hum_shared.intervals import Intervals, as_intervals, best_iou, merged
from hum_shared.words import listed
from hum_trainer.corrected_tables import JudgedRow, read_corrected, times_of
from hum_trainer.event_loop import Negative
from hum_trainer.event_measures import found_intervals
from hum_trainer.labelled_recordings import LabelledRecording, Stretch

FILE_NAME = "hard_negatives.json"
"""Lies beside the model; the next `run` of the same cfg learns from it."""

MAX_IOU = 0.1
MARGIN_S = 0.1
CONFIDENT = 0.5

_ROUNDING = 1e-9


class FedBack(BaseModel):
    """A stretch of a recording, in seconds of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recording: str = Field(description="full file name")
    start_s: float
    end_s: float

    def shares_time_with(self, other: FedBack) -> bool:
        """Whether both are of one recording and overlap."""
        return self.recording == other.recording and self.start_s < other.end_s and other.start_s < self.end_s


class MiningRound(BaseModel):
    """What one `hum-trainer mine` found."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_sha256: str | None = Field(None, description="the model whose false alarms these are; null for tables")
    tables: dict[str, str] = Field(default_factory=dict, description="selection table → SHA-256")
    negatives: list[FedBack] = Field(default_factory=list, description="false alarms")
    calls: list[FedBack] = Field(default_factory=list, description="calls that a person added in a table")

    def is_of(self, other: MiningRound) -> bool:
        """Whether both come from the same model or the same tables' names: the later one replaces the earlier."""
        return (self.model_sha256, sorted(self.tables)) == (other.model_sha256, sorted(other.tables))

    def corrected_by(self, new: MiningRound) -> MiningRound:
        """Return this without the verdicts of people that a person has turned since."""
        if self.model_sha256 is not None or new.model_sha256 is not None:
            return self
        return self.model_copy(
            update={
                "negatives": [one for one in self.negatives if not any(map(one.shares_time_with, new.calls))],
                "calls": [one for one in self.calls if not any(map(one.shares_time_with, new.negatives))],
            }
        )


class HardNegatives(BaseModel):
    """`hard_negatives.json`: what later trainings learn from, round by round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    rounds: list[MiningRound] = Field(default_factory=list)

    def with_round(self, new: MiningRound) -> HardNegatives:
        """Return these with a round added; what the same source gave before, and what it contradicts, is left out."""
        return HardNegatives(rounds=[*(old.corrected_by(new) for old in self.rounds if not old.is_of(new)), new])


def read_hard_negatives(path: Path) -> HardNegatives:
    """Read `hard_negatives.json`; a missing file holds no rounds.

    Raises
    ------
    CfgError
        When it has another shape.
    """
    return validate(HardNegatives, read_json(path), path) if path.exists() else HardNegatives()


def write_hard_negatives(path: Path, content: HardNegatives) -> None:
    """Write `hard_negatives.json` atomically."""
    write_json(path, content.model_dump(mode="json"))


def false_alarms(found: Intervals, calls: Intervals) -> NDArray[np.bool_]:
    """Return which detections are false alarms: IoU below 0.1 with, and at least 0.1 s from, every call.

    Parameters
    ----------
    found, calls
        Of one recording, seconds.

    Returns
    -------
    ndarray of bool, shape (len(found),)
    """
    widened = merged(calls + np.array([-1, 1]) * (MARGIN_S - _ROUNDING))
    alarms: NDArray[np.bool_] = (best_iou(found, calls) < MAX_IOU) & (best_iou(found, widened) == 0)
    return alarms


def mine(
    stretches: Sequence[Stretch],
    score: Callable[[Stretch], Windows],
    *,
    min_gap_s: float,
    min_duration_s: float,
) -> list[Negative]:
    """Return the confident false alarms of a model.

    Parameters
    ----------
    stretches
        Of the training tapes.
    score
        Returns scores of a stretch, in seconds from its start.
    min_gap_s, min_duration_s
        See :class:`~hum_shared.config.decoding.DecoderSettings`.
    """
    settings = DecoderSettings(
        decoder="hysteresis",
        threshold=CONFIDENT,
        edge_level=CONFIDENT,
        min_gap_s=min_gap_s,
        min_duration_s=min_duration_s,
    )
    negatives: list[Negative] = []
    for index, stretch in enumerate(stretches):
        found = found_intervals(score(stretch), settings) + stretch.start_s
        alarms = found[false_alarms(found, stretch.recording.calls)]
        negatives += [(index, round(start_s, 6), round(end_s, 6)) for start_s, end_s in alarms.tolist()]
    return negatives


def from_selections(folder: Path, recordings: Sequence[LabelledRecording]) -> tuple[MiningRound, list[str], list[str]]:
    """Read Raven tables that a person corrected.

    A row whose sound type is `noise` is a false alarm; it becomes a negative unless it touches a call or lies
    within 0.1 s of one. Every other row is a call; where no labelled call shares time with it, it is added to the
    labels. So rows that a person deleted, and rows left as they were found, do no harm.

    Parameters
    ----------
    folder
        Of the tables; each belongs to the recording whose name its own starts with, or its rows name their files.

    Returns
    -------
    round
        What the tables say.
    others
        Tables that belong to no recording of the corpus.
    remarks
        Rows that were left out and why, and what else a person should know; one line each.

    Raises
    ------
    InputError
        When the folder holds no table of a recording of the corpus.
    TableError
        When a table cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it should hold Raven selection tables")
    by_name = {recording.name: recording for recording in recordings}
    corrected = read_corrected(folder, by_name)
    if not corrected.tables:
        found = f"; found: {listed(corrected.others)}" if corrected.others else ""
        raise InputError(
            f"{folder}: holds no selection table of a recording of the corpus{found}. A table's name starts with "
            "its recording's; a recording that is not in the training corpus is to be added to it, with its table."
        )
    negatives: list[FedBack] = []
    added: list[FedBack] = []
    denied: list[str] = []
    for name, unsorted in corrected.rows_of.items():
        known = by_name[name].calls
        rows = sorted(unsorted, key=lambda row: row.start_s)
        right, wrong = ([row for row in rows if row.is_wrong is side] for side in (False, True))
        new = [row for row, iou in zip(right, best_iou(times_of(right), known), strict=True) if iou == 0]
        alarms = false_alarms(times_of(wrong), np.concatenate((known, times_of(new))))
        on_calls = best_iou(times_of(wrong), known) >= MAX_IOU
        denied += [f"{name} at {row.start_s:g} s" for row, hit in zip(wrong, on_calls, strict=True) if hit]
        added += [_fed_back(name, row) for row in new]
        negatives += [_fed_back(name, row) for row, is_alarm in zip(wrong, alarms, strict=True) if is_alarm]
    corrections = MiningRound(tables=corrected.tables, negatives=negatives, calls=added)
    remarks = list(corrected.remarks)
    if denied:
        remarks.append(
            f"{len(denied)} rows of noise lie on labelled calls and teach nothing, the first in {denied[0]}: where the "
            "label is wrong, remove it and index the corpus again"
        )
    return corrections, corrected.others, remarks


def with_added_calls(recordings: Sequence[LabelledRecording], rounds: Sequence[MiningRound]) -> list[LabelledRecording]:
    """Return the recordings with the calls that people added in all rounds."""
    more: dict[str, list[tuple[float, float]]] = {}
    for found in (call for one in rounds for call in one.calls):
        more.setdefault(found.recording, []).append((found.start_s, found.end_s))
    return [
        recording.with_calls(as_intervals(sorted(set(more[recording.name])))) if recording.name in more else recording
        for recording in recordings
    ]


def as_negatives(rounds: Sequence[MiningRound], stretches: Sequence[Stretch]) -> list[Negative]:
    """Return the negatives of all rounds that lie in training stretches, cut to these; no call lies in any."""
    out: set[Negative] = set()
    for index, stretch in enumerate(stretches):
        found = as_intervals(
            (max(one.start_s, stretch.start_s), min(one.end_s, stretch.end_s))
            for mined in rounds
            for one in mined.negatives
            if one.recording == stretch.recording.name
        )
        found = found[found[:, 1] > found[:, 0]]
        kept = found[false_alarms(found, stretch.recording.calls)]
        out |= {(index, start_s, end_s) for start_s, end_s in kept.tolist()}
    return sorted(out)


def as_round(model_sha256: str, negatives: Sequence[Negative], stretches: Sequence[Stretch]) -> MiningRound:
    """Return a model's false alarms as a round."""
    found = [
        FedBack(recording=stretches[index].recording.name, start_s=start_s, end_s=end_s)
        for index, start_s, end_s in negatives
    ]
    return MiningRound(model_sha256=model_sha256, negatives=found)


def _fed_back(recording: str, row: JudgedRow) -> FedBack:
    return FedBack(recording=recording, start_s=round(row.start_s, 6), end_s=round(row.end_s, 6))
