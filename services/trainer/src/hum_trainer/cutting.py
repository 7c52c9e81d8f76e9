"""Cutting a stretch of a recording into a WAV file without changing its samples."""

from __future__ import annotations

from pathlib import Path

from hum_shared.audio import probe
from hum_shared.audio_parts import copy_part
from hum_shared.errors import AudioError


def cut(source: Path, target: Path, start_s: float = 0.0, dur_s: float | None = None) -> None:
    """Write part of `source` as WAV with its sample rate, channels and bit depth.

    Samples are copied bit by bit. Compressed formats without a bit depth become 16 bit.

    Parameters
    ----------
    start_s
        Where the part starts; rounded to a sample.
    dur_s
        Its length; None means up to the end. A part that ends less than 50 ms behind the file's end (times are
        rounded) is moved or cut to end there.

    Raises
    ------
    AudioError
        When the file cannot be read, is truncated, or ends before the part does.
    """
    info = probe(source)
    first = round(start_s * info.sample_rate)
    count = info.frames - first if dur_s is None else max(1, round(dur_s * info.sample_rate))
    missing = first + count - info.frames
    if missing > 0.05 * info.sample_rate:
        raise AudioError(
            f"{source}: is {info.dur_s:.3f} s long, but {start_s:.3f} to {start_s + count / info.sample_rate:.3f} s "
            "are wanted. Correct the label, or index the corpus again (hum-trainer index-corpus)."
        )
    if missing > 0:
        first = max(0, first - missing)
        count = min(count, info.frames)
    copy_part(source, info, first, first + count, target)
