"""Which parts of tapes were listened to: by the network, or by who labelled them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, as_intervals, merged


def stretches(recording: RecordingInfo) -> Intervals:
    """Return what was scored of a recording in tape time, shape (n, 2)."""
    return as_intervals(recording.heard_s())


def by_tape(recordings: Iterable[RecordingInfo]) -> dict[str, Intervals]:
    """Return tape → what was scored of it in tape time, sorted; what several recordings hold counts once."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for recording in recordings:
        parts.setdefault(recording.tape, []).extend(recording.heard_s())
    return {tape: merged(as_intervals(found)) for tape, found in sorted(parts.items())}
