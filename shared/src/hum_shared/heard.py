"""Which parts of tapes were listened to: by the network, or by who labelled them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, as_intervals, duration, merged

_ROUNDING_S = 1e-3  # of times in names and tracks, for each recording


def stretches(recording: RecordingInfo) -> Intervals:
    """Return what was scored of a recording in tape time, shape (n, 2)."""
    return as_intervals(recording.heard_s())


def by_tape(recordings: Iterable[RecordingInfo]) -> dict[str, Intervals]:
    """Return tape → what was scored of it in tape time, sorted; what several recordings hold counts once."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for recording in recordings:
        parts.setdefault(recording.tape, []).extend(recording.heard_s())
    return {tape: merged(as_intervals(found)) for tape, found in sorted(parts.items())}


def shared_s(recordings: Iterable[RecordingInfo]) -> dict[str, float]:
    """Return tape → seconds of it that more than one recording holds, above a millisecond, sorted."""
    recordings = list(recordings)
    total_s: dict[str, float] = {}
    for recording in recordings:
        parts = recording.heard_s()
        total_s[recording.tape] = total_s.get(recording.tape, 0.0) + sum(end_s - start_s for start_s, end_s in parts)
    twice = {tape: total_s[tape] - duration(parts) for tape, parts in by_tape(recordings).items()}
    return {tape: seconds for tape, seconds in twice.items() if seconds > _ROUNDING_S}
