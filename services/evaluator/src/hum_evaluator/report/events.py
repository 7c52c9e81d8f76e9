"""What became of every call and every selection of a run: hit, miss or false alarm, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hum_evaluator.truth import GroundTruth, tape_of
from hum_shared import names
from hum_shared.heard import stretches
from hum_shared.index import CorpusEntry, PredictionEntry, RecordingInfo
from hum_shared.intervals import as_intervals, iou_pairs, overlapping_pairs
from hum_shared.matching import Matching, match

Kind = Literal["hit", "miss", "alarm", "found"]

NEVER_SCORED = "its recording was never scored"
NOTHING_HERE = "nothing was selected here"
NO_CALL = "no call here"
EDGES_OFF = "on a call, but edges too far off"
TURNED_DOWN = "found by the network, turned down by the forest"


@dataclass(frozen=True)
class Event:
    """A call, a selection, or a pair of them.

    Attributes
    ----------
    kind
        ``hit``, ``miss``, ``alarm``; ``found`` where there is no ground truth.
    tape
        The tape's name.
    start_s, end_s
        Tape time of the selection; of the call where it was missed.
    call
        The true call, None for an alarm.
    entry
        The selection, None for a miss.
    recording, offset_s
        A recording that holds the sound, and where it starts on the tape.
    iou
        Best intersection over union with anything of the other side.
    why
        What went wrong, for misses and alarms.
    """

    kind: Kind
    tape: str
    start_s: float
    end_s: float
    call: CorpusEntry | None
    entry: PredictionEntry | None
    recording: str
    offset_s: float
    iou: float = 0.0
    why: str = ""

    @property
    def quality(self) -> int | None:
        """Quality of the call; None without one."""
        return self.call.quality if self.call is not None else None


def events(
    truth: GroundTruth,
    entries: Sequence[PredictionEntry],
    scored: Sequence[RecordingInfo] | None,
    min_iou: float,
    matching: Matching = "optimal",
) -> list[Event]:
    """Match a run's selections to the true calls; return everything by tape, then time.

    Parameters
    ----------
    entries
        Selections; those of the noise class are none.
    scored
        Recordings that were looked at; None where the index does not say.
    """
    by_tape: dict[str, list[PredictionEntry]] = {}
    for entry in entries:
        if (entry.label or "").lower() != "noise":
            by_tape.setdefault(tape_of(entry), []).append(entry)
    found: list[Event] = []
    for tape in sorted(by_tape.keys() | truth.calls.keys()):
        selections = sorted(by_tape.get(tape, []), key=lambda entry: entry.tape_interval_s())
        parts = [part for part in scored or () if part.tape == tape]
        found += _tape_events(
            tape, truth.calls.get(tape, ()), selections, None if scored is None else parts, min_iou, matching
        )
    return found


def selections_alone(entries: Sequence[PredictionEntry]) -> list[Event]:
    """Return the selections of a run without ground truth as events, by tape, then time."""
    kept = [entry for entry in entries if (entry.label or "").lower() != "noise"]
    found = [_of_selection("found", tape_of(entry), entry, 0.0, "") for entry in kept]
    return sorted(found, key=lambda event: (event.tape, event.start_s, event.end_s))


def with_turned_down(found: Sequence[Event], baseline: Sequence[Event]) -> list[Event]:
    """Return the events of a forest's layer; misses that the layer before it (`baseline`) had found say so."""
    hits = {(event.tape, event.call.uid) for event in baseline if event.kind == "hit" and event.call is not None}
    return [
        replace(event, why=TURNED_DOWN)
        if event.kind == "miss" and event.call is not None and (event.tape, event.call.uid) in hits
        else event
        for event in found
    ]


def edge_errors_ms(found: Sequence[Event]) -> tuple[list[float], list[float]]:
    """Return by how much the hits start and end late (negative: early), in ms."""
    starts, ends = [], []
    for event in found:
        if event.kind == "hit" and event.call is not None:
            starts.append((event.start_s - event.call.raw_start_s) * 1000)
            ends.append((event.end_s - event.call.raw_end_s) * 1000)
    return starts, ends


def _tape_events(
    tape: str,
    calls: Sequence[CorpusEntry],
    selections: Sequence[PredictionEntry],
    parts: Sequence[RecordingInfo] | None,
    min_iou: float,
    matching: Matching,
) -> list[Event]:
    true = as_intervals((call.raw_start_s, call.raw_end_s) for call in calls)
    said = as_intervals(entry.tape_interval_s() for entry in selections)
    rows, columns = match(true, said, min_iou, matching)
    pair = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    i, j, iou = iou_pairs(true, said)
    best_of_call, best_of_selection = np.zeros(len(true)), np.zeros(len(said))
    np.maximum.at(best_of_call, i, iou)
    np.maximum.at(best_of_selection, j, iou)
    calls_under = np.bincount(j, minlength=len(said))
    heard = np.ones(len(true), dtype=bool)
    if parts is not None:
        spans = [as_intervals([]), *map(stretches, parts)]
        heard = np.isin(np.arange(len(true)), overlapping_pairs(true, np.concatenate(spans))[0])
    found: list[Event] = []
    for column, entry in enumerate(selections):
        row = pair.get(column)
        if row is not None:
            event = _of_selection("hit", tape, entry, float(best_of_selection[column]), "", calls[row])
        else:
            touched = set(i[j == column].tolist())
            event = _of_selection(
                "alarm", tape, entry, float(best_of_selection[column]),
                _why_alarm(float(best_of_selection[column]), min_iou, bool(touched & set(pair.values())), len(touched)),
            )  # fmt: skip
        found.append(event)
    for row in sorted(set(range(len(calls))) - set(pair.values())):
        over = j[i == row]
        why = (
            NEVER_SCORED
            if not heard[row]
            else _why_missed(float(best_of_call[row]), bool(np.any(calls_under[over] > 1)))
        )
        found.append(_of_miss(tape, calls[row], parts or (), float(best_of_call[row]), why))
    return sorted(found, key=lambda event: (event.start_s, event.end_s, event.kind))


def _why_alarm(iou: float, min_iou: float, on_found_call: bool, calls: int) -> str:
    if calls == 0:
        return NO_CALL
    if calls > 1:
        return f"covers several calls at once ({calls})"
    if on_found_call:
        return "a second selection on a call that was found"
    return f"{EDGES_OFF} (overlap {iou:.2f}, needed {min_iou:.2f})"


def _why_missed(iou: float, merged: bool) -> str:
    if iou == 0:
        return NOTHING_HERE
    if merged:
        return "swallowed by a selection that covers several calls"
    return f"selected, but with edges too far off (overlap {iou:.2f})"


def _of_selection(
    kind: Kind, tape: str, entry: PredictionEntry, iou: float, why: str, call: CorpusEntry | None = None
) -> Event:
    start_s, end_s = entry.tape_interval_s()
    recording = entry.recording or entry.tape
    return Event(kind, tape, start_s, end_s, call, entry, recording, start_s - entry.start_s, iou, why)


def _of_miss(tape: str, call: CorpusEntry, parts: Sequence[RecordingInfo], iou: float, why: str) -> Event:
    # The sound comes from what was scored; the labelled clip may be another file.
    for part in parts:
        if part.offset_s < call.raw_end_s and call.raw_start_s < part.offset_s + part.dur_s:
            return Event("miss", tape, call.raw_start_s, call.raw_end_s, call, None, part.name, part.offset_s, iou, why)
    offset_s = names.parse_recording(call.recording).offset_s
    return Event("miss", tape, call.raw_start_s, call.raw_end_s, call, None, call.recording, offset_s, iou, why)
