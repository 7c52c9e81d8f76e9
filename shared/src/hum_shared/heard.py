"""Which parts of tapes were listened to: by the network, or by who labelled them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hum_shared.index import RecordingInfo
from hum_shared.intervals import Intervals, as_intervals, duration, merged

_PADDING_S = 0.1  # by which clips may be too long: times in names are rounded, MP3 is padded


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
    """Return tape → seconds of it that more than one recording holds, sorted; not what neighbours share by padding."""
    recordings = list(recordings)
    total_s: dict[str, float] = {}
    count = Counter(recording.tape for recording in recordings)
    for recording in recordings:
        parts = recording.heard_s()
        total_s[recording.tape] = total_s.get(recording.tape, 0.0) + sum(end_s - start_s for start_s, end_s in parts)
    twice = {tape: total_s[tape] - duration(parts) for tape, parts in by_tape(recordings).items()}
    return {tape: seconds for tape, seconds in twice.items() if seconds > _PADDING_S * (count[tape] - 1)}
