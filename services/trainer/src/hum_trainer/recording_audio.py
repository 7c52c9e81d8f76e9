"""Audio of labelled recordings at the model's rate, mono, in memory or mapped from a cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hum_shared.audio import Samples, mono_blocks, probe, resampled_length
from hum_shared.errors import AudioError
from hum_shared.files import atomic_path, sha256_json
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.mapped import from_cache, mapped

_AUDIO_VERSION = 1
_BLOCK_S = 60.0


class AudioOf:
    """Audio of recordings at one rate, each read once."""

    def __init__(self, sample_rate: int, cache_dir: Path | None) -> None:
        self._rate, self._cache_dir = sample_rate, cache_dir
        self._kept: dict[str, Samples] = {}

    def recording(self, recording: LabelledRecording) -> Samples:
        """Return all of a recording."""
        if recording.name not in self._kept:
            self._kept[recording.name] = read_audio(recording, self._rate, self._cache_dir)
        return self._kept[recording.name]

    def stretch(self, stretch: Stretch) -> Samples:
        """Return a part of a recording; at least one sample."""
        audio = self.recording(stretch.recording)
        start = min(round(stretch.start_s * self._rate), len(audio) - 1)
        return audio[start : max(start + 1, round(stretch.end_s * self._rate))]


def read_audio(recording: LabelledRecording, sample_rate: int, cache_dir: Path | None = None) -> Samples:
    """Return a recording's audio, channels averaged, at `sample_rate`; float32, shape (n,), n ≥ 1.

    Parameters
    ----------
    cache_dir
        Where to keep it, named by content and rate; the array is then read only and mapped from disk. None keeps
        it in memory.

    Raises
    ------
    AudioError
        When it cannot be read, is too short to resample, or holds NaN or infinite samples.
    """
    if cache_dir is None:
        return _resampled(recording, sample_rate)
    path = cache_dir / f"{sha256_json([_AUDIO_VERSION, recording.sha256, sample_rate])}.npy"

    def make(path: Path) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, _resampled(recording, sample_rate))

    return from_cache(path, make, lambda path: mapped(path, "r"))


def audio_blocks(recording: LabelledRecording, sample_rate: int) -> tuple[Iterator[Samples], int]:
    """Return a recording's audio block by block, channels averaged, at `sample_rate`, and its length in samples.

    Raises
    ------
    AudioError
        When it is too short to resample; while iterating as :func:`~hum_shared.audio.mono_blocks` does.
    """
    length = resampled_length(probe(recording.path).frames, recording.sample_rate, sample_rate)
    if length == 0:
        raise AudioError(f"{recording.path}: too few samples to resample to {sample_rate} Hz")
    return mono_blocks(recording.path, _BLOCK_S, sample_rate), length


def _resampled(recording: LabelledRecording, sample_rate: int) -> Samples:
    return np.concatenate(list(audio_blocks(recording, sample_rate)[0]))
