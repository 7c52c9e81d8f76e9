"""Recordings of selections: which file one is, and the features of all selections in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.features import FeatureSettings, segment_features
from hum_shared import names
from hum_shared.audio import AudioInfo, Samples, probe, read_mono
from hum_shared.errors import AudioError, InputError
from hum_shared.selections import Selection

_BATCH_SAMPLES = 1 << 22  # sound worked on at a time: 16 MiB
_READ_THROUGH_S = 1.0  # reading a gap this long is cheaper than opening the file again


class RecordingFolder:
    """The recordings below a folder, found by full name.

    Parameters
    ----------
    folder
        Searched with its sub-folders.

    Raises
    ------
    InputError
        When it is not a folder.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; audio_dir must be the folder of the recordings")
        self.folder = folder
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if names.is_audio(path.name) and path.is_file():
                self._by_stem[names.recording_stem(path.name)].append(path)
                self._by_name[path.name].append(path)

    def find(self, name: str, full_name: str | None = None) -> Path:
        """Return the one recording of this name.

        Parameters
        ----------
        name
            The recording's name without its audio suffix, as annotation tables carry it, or with it, as tables
            of other origin do. Compared as a whole, never as a prefix.
        full_name
            The recording's full name, where it is known.

        Raises
        ------
        AudioError
            When there is none or more than one; names them.
        """
        named = self._by_stem.get(name) or self._by_name.get(name, [])
        found = [path for path in named if full_name in (None, path.name)]
        if len(found) == 1:
            return found[0]
        wanted = full_name or f"{name} (.wav, .flac, …)"
        if not found:
            raise AudioError(f"{self.folder}: no recording {wanted}. Point to the folder that was predicted on.")
        listed = ", ".join(str(path) for path in found)
        raise AudioError(f"{wanted}: {len(found)} recordings have this name: {listed}. Keep one of them.")


def recording_features(path: Path, selections: Sequence[Selection], settings: FeatureSettings) -> NDArray[np.float64]:
    """Return the acoustic features of selections of one recording.

    Only the parts of the file that selections cover are read, and each part once.

    Returns
    -------
    ndarray of float64, shape (len(selections), len(settings.columns))
        Rows in the order of `selections`; NaN for a selection without a sample.

    Raises
    ------
    AudioError
        When the recording cannot be read or holds NaN or infinite samples.
    """
    features = np.full((len(selections), len(settings.columns)), np.nan)
    info = probe(path)
    bounds = _sample_bounds(selections, info)
    bands_hz = np.array([(one.low_hz, one.high_hz) for one in selections]).reshape(-1, 2)
    for rows in _batches(bounds):
        segments = _read_segments(path, bounds[rows], info.sample_rate)
        features[rows] = segment_features(segments, bands_hz[rows], info.sample_rate, settings)
    return features


def _sample_bounds(selections: Sequence[Selection], info: AudioInfo) -> NDArray[np.int64]:
    """Return first and behind-last sample of each selection, clamped to the file, shape (n, 2)."""
    times = np.array([(one.begin_s, one.end_s) for one in selections]).reshape(-1, 2)
    return np.clip(np.round(times * info.sample_rate), 0, info.frames).astype(np.int64)


def _batches(bounds: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield rows in order of time, as many at once as memory allows, at least one."""
    order = np.argsort(bounds[:, 0], kind="stable")
    lengths = bounds[order, 1] - bounds[order, 0]
    first = 0
    while first < len(order):
        room = np.searchsorted(np.cumsum(lengths[first:]), _BATCH_SAMPLES, side="right")
        yield order[first : first + max(1, int(room))]
        first += max(1, int(room))


def _read_segments(path: Path, bounds: NDArray[np.int64], sample_rate: int) -> list[Samples]:
    """Return the sound between `bounds`, which are sorted by start."""
    reach = np.maximum.accumulate(bounds[:, 1])
    opens = np.concatenate(([True], bounds[1:, 0] > reach[:-1] + _READ_THROUGH_S * sample_rate))
    segments: list[Samples] = []
    for rows in np.split(np.arange(len(bounds)), np.flatnonzero(opens)[1:]):
        start = int(bounds[rows[0], 0])
        sound = _read_finite(path, start, int(reach[rows[-1]]), sample_rate)
        segments += [sound[a - start : b - start] for a, b in bounds[rows]]
    return segments


def _read_finite(path: Path, start: int, stop: int, sample_rate: int) -> Samples:
    sound = read_mono(path, start, stop)
    finite = np.isfinite(sound)
    if not finite.all():
        raise AudioError(f"{path}: NaN or infinite sample at {(start + int(np.argmin(finite))) / sample_rate:.3f} s")
    return sound
