"""Features of all selections in one recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.context import SCORE_COLUMNS, SOUND_AROUND_S, level_above, level_frame, read_logits, score_context
from hum_rf_filter.features import FeatureSettings, segment_features
from hum_shared.audio import AudioInfo, Samples, probe, read_mono
from hum_shared.errors import AudioError
from hum_shared.intervals import Intervals, as_intervals
from hum_shared.selections import Selection

_BATCH_SAMPLES = 1 << 22  # sound worked on at a time: 16 MiB
_LOUDEST = 1e9  # full scale is 1; the power of far larger samples is infinite in float32
_READ_THROUGH_S = 1.0  # reading a gap this long is cheaper than opening the file again


def recording_features(
    path: Path, selections: Sequence[Selection], settings: FeatureSettings, scores: Path | None = None
) -> NDArray[np.float64]:
    """Return the features of selections of one recording.

    Only the parts of the file that selections and their surroundings cover are read, and each part once.

    Parameters
    ----------
    scores
        The recording's score track; None where there is none.

    Returns
    -------
    ndarray of float64, shape (len(selections), len(settings.columns))
        Rows in the order of `selections`; NaN in all acoustic columns for a selection without a sample, and in
        what only a score track tells without one.

    Raises
    ------
    AudioError
        When the recording cannot be read or holds samples that are NaN, infinite or far beyond full scale.
    TableError
        When the score track cannot be read or is another recording's.
    """
    info = probe(path)
    features = np.full((len(selections), len(settings.columns)), np.nan)
    acoustic = features[:, : len(settings.acoustic_columns)]
    level_db = features[:, settings.columns.index("level_above_db")]
    times_s = _times_s(selections)
    features[:, settings.columns.index("duration_s")] = times_s[:, 1] - times_s[:, 0]
    if scores is not None:
        fill_scores(features, settings, selections, scores, path.name)
    bounds = np.clip(np.round(times_s * info.sample_rate), 0, info.frames).astype(np.int64)
    bands_hz = np.array([(one.low_hz, one.high_hz) for one in selections]).reshape(-1, 2)
    for rows in _batches(bounds):
        segments: list[Samples] = []
        for part, start, sound in _read_parts(path, bounds[rows], info):
            within = bounds[rows[part]] - start
            segments += [sound[a:b] for a, b in within]
            level_db[rows[part]] = level_above(sound, within, bands_hz[rows[part]], info.sample_rate)
        acoustic[rows] = segment_features(segments, bands_hz[rows], info.sample_rate, settings)
    return features


def fill_scores(
    features: NDArray[np.float64],
    settings: FeatureSettings,
    selections: Sequence[Selection],
    scores: Path,
    recording: str,
) -> None:
    """Fill in what the score track of a recording tells, in place; rows in the order of `selections`.

    Raises
    ------
    TableError
        See :func:`~hum_rf_filter.context.read_logits`.
    """
    columns = [settings.columns.index(name) for name in SCORE_COLUMNS]
    features[:, columns] = score_context(*read_logits(scores, recording), _times_s(selections))


def _times_s(selections: Sequence[Selection]) -> Intervals:
    return as_intervals((one.begin_s, one.end_s) for one in selections)


def _batches(bounds: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield rows in order of time, as many at once as memory allows, at least one."""
    order = np.argsort(bounds[:, 0], kind="stable")
    lengths = bounds[order, 1] - bounds[order, 0]
    first = 0
    while first < len(order):
        room = np.searchsorted(np.cumsum(lengths[first:]), _BATCH_SAMPLES, side="right")
        yield order[first : first + max(1, int(room))]
        first += max(1, int(room))


def _read_parts(
    path: Path, bounds: NDArray[np.int64], info: AudioInfo
) -> Iterator[tuple[NDArray[np.int64], int, Samples]]:
    """Yield the sound of `bounds`, which are sorted by start, and around them: rows, first sample, samples.

    Whole frames of the level are read, counted from the file's start: a selection's level must not depend on which
    others there are.
    """
    margin, frame = round(SOUND_AROUND_S * info.sample_rate), level_frame(info.sample_rate)
    begin = np.maximum(bounds[:, 0] - margin, 0) // frame * frame
    reach = np.minimum(-(-(np.maximum.accumulate(bounds[:, 1]) + margin) // frame) * frame, info.frames)
    opens = np.concatenate(([True], begin[1:] > reach[:-1] + _READ_THROUGH_S * info.sample_rate))
    for rows in np.split(np.arange(len(bounds)), np.flatnonzero(opens)[1:]):
        start = int(begin[rows[0]])
        yield rows, start, _read_finite(path, start, int(reach[rows[-1]]), info.sample_rate)


def _read_finite(path: Path, start: int, stop: int, sample_rate: int) -> Samples:
    sound = read_mono(path, start, stop)
    finite = np.isfinite(sound)
    if not finite.all():
        raise AudioError(f"{path}: NaN or infinite sample at {(start + int(np.argmin(finite))) / sample_rate:.3f} s")
    loud = np.abs(sound) > _LOUDEST
    if loud.any():
        at_s = (start + int(np.argmax(loud))) / sample_rate
        raise AudioError(f"{path}: samples far beyond full scale at {at_s:.3f} s. Normalise it.")
    return sound
