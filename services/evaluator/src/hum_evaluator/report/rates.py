"""Calls per hour: on each tape, and over the hours of the day or of the tapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from hum_evaluator.report.events import Event
from hum_shared import names
from hum_shared.heard import by_tape as heard_by_tape
from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, duration, inside

Hourly = list[tuple[float, float, float]]

_SHORTEST_H = 1 / 360  # ten seconds: a shorter rest of an hour gives no rate


def by_tape(found: Sequence[Event], recordings: Iterable[RecordingInfo]) -> list[tuple[str, float, float]]:
    """Return (tape, true calls per hour, selections per hour) of every tape that was scored, sorted."""
    heard = heard_by_tape(recordings)
    hours = {tape: duration(parts) / 3600 for tape, parts in heard.items()}
    true: dict[str, int] = dict.fromkeys(hours, 0)
    said: dict[str, int] = dict.fromkeys(hours, 0)
    for event in _heard(found, heard):
        true[event.tape] += event.call is not None
        said[event.tape] += event.entry is not None
    return [(tape, true[tape] / hours[tape], said[tape] / hours[tape]) for tape in sorted(hours) if hours[tape] > 0]


def by_hour(found: Sequence[Event], recordings: Sequence[RecordingInfo]) -> tuple[str, Hourly]:
    """Return what the hours count, and (hour, true calls per hour, selections per hour) of each that was recorded.

    Where every tape's name tells when it starts, these are the hours of the day; else the hours of the tapes.
    """
    clocks = {recording.tape: names.tape_start(recording.tape) for recording in recordings}
    of_day = bool(clocks) and all(clock is not None for clock in clocks.values())
    starts_s = {tape: _of_day_s(clock) if of_day and clock is not None else 0.0 for tape, clock in clocks.items()}

    def hour_of(tape: str, time_s: float) -> int:
        hour = math.floor((starts_s.get(tape, 0.0) + time_s) / 3600)
        return hour % 24 if of_day else hour

    heard = heard_by_tape(recordings)
    recorded: dict[int, float] = {}
    for tape, at_s, end_s in [(tape, *part) for tape, parts in heard.items() for part in parts.tolist()]:
        while at_s < end_s:
            since_s = starts_s[tape] + at_s
            next_s = min(end_s, at_s + 3600 - since_s % 3600)
            hour = hour_of(tape, at_s)
            recorded[hour] = recorded.get(hour, 0.0) + (next_s - at_s) / 3600
            at_s = next_s
    true: dict[int, int] = dict.fromkeys(recorded, 0)
    said: dict[int, int] = dict.fromkeys(recorded, 0)
    for event in _heard(found, heard):
        hour = hour_of(event.tape, event.start_s)
        if hour in recorded:
            true[hour] += event.call is not None
            said[hour] += event.entry is not None
    label = "hour of the day" if of_day else "hour of the tape"
    rates = [
        (float(hour), true[hour] / recorded[hour], said[hour] / recorded[hour])
        for hour in sorted(recorded)
        if recorded[hour] >= _SHORTEST_H
    ]
    return label, rates


def _heard(found: Sequence[Event], heard: Mapping[str, Intervals]) -> list[Event]:
    """Return the events whose middle lies in what was scored."""
    by_tape: dict[str, list[Event]] = {tape: [] for tape in heard}
    for event in found:
        if event.tape in by_tape:
            by_tape[event.tape].append(event)
    return [
        event
        for tape, events in by_tape.items()
        for event, kept in zip(
            events, inside(np.array([(event.start_s + event.end_s) / 2 for event in events]), heard[tape]), strict=True
        )
        if kept
    ]


def _of_day_s(clock: datetime) -> float:
    return clock.hour * 3600.0 + clock.minute * 60 + clock.second
