"""Parts of recordings as WAV files of their own, sample for sample."""

from __future__ import annotations

from pathlib import Path

from hum_shared.audio import AudioInfo, read_exactly, write_wav

# libsndfile subtype of the recording → dtype that carries its samples unchanged, subtype of the WAV file.
# 24-bit samples come left-aligned in int32 and go back the same way. What is not listed (MP3, Vorbis, …) has no
# sample format of its own and becomes 16 bits, which every program opens.
_LOSSLESS = {
    "PCM_U8": ("int16", "PCM_U8"),
    "PCM_S8": ("int16", "PCM_U8"),
    "PCM_16": ("int16", "PCM_16"),
    "PCM_24": ("int32", "PCM_24"),
    "PCM_32": ("int32", "PCM_32"),
    "FLOAT": ("float32", "FLOAT"),
    "DOUBLE": ("float64", "DOUBLE"),
    "ULAW": ("int16", "PCM_16"),
    "ALAW": ("int16", "PCM_16"),
}


def copy_part(source: Path, info: AudioInfo, start: int, stop: int, target: Path) -> None:
    """Write samples `start` to `stop` of a recording as WAV, with its sample rate, channels and bit depth.

    Samples of a lossless format are copied bit by bit, others decoded to 16 bits. Not atomically.

    Parameters
    ----------
    info
        What :func:`~hum_shared.audio.probe` says of `source`.

    Raises
    ------
    AudioError
        When the recording cannot be read, or is truncated.
    OSError
        When `target` cannot be written.
    """
    dtype, subtype = _LOSSLESS.get(info.subtype, ("float32", "PCM_16"))
    write_wav(target, read_exactly(source, start, stop, dtype), info.sample_rate, subtype)
