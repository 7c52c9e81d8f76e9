"""Features of all selections in one recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.features import FeatureSettings, segment_features
from hum_shared.audio import AudioInfo, Samples, probe, read_mono
from hum_shared.errors import AudioError
from hum_shared.selections import Selection

_BATCH_SAMPLES = 1 << 22  # sound worked on at a time: 16 MiB
_READ_THROUGH_S = 1.0  # reading a gap this long is cheaper than opening the file again


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
