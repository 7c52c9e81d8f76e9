"""Features beyond a selection's own sound: the network's score over it and around it, duration, level.

They stand behind the columns of the original programs, whose forests do not know them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hum_shared.audio import Samples
from hum_shared.decoders.windows import log_odds, nearest_row, noise_index
from hum_shared.errors import TableError
from hum_shared.intervals import Intervals
from hum_shared.scores import ScoreTrack, read_score_track

OWN_SCORE_COLUMNS = ("cnn_logit_max", "cnn_logit_min", "cnn_logit_centre")
SOUND_COLUMNS = ("duration_s", "level_above_db")
AROUND_COLUMNS = ("cnn_logit_before", "cnn_logit_after", "cnn_logit_rise")
SCORE_COLUMNS = OWN_SCORE_COLUMNS + AROUND_COLUMNS
"""What only a score track can tell."""
CONTEXT_COLUMNS = OWN_SCORE_COLUMNS + SOUND_COLUMNS + AROUND_COLUMNS

SCORES_AROUND_S = 1.0
"""How far before and after a selection its score's context reaches."""
SOUND_AROUND_S = 0.5
"""How far before and after a selection its surrounding second reaches."""

_LEAST_POWER = 1e-10  # mean square of what counts as silence: −100 dB of full scale
_FRAME_S = 0.02
_BLOCK_BYTES = 192 << 10  # of frames: what stays in a core's own cache


def read_logits(path: Path, recording: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a recording's score track as a curve.

    Returns
    -------
    instants_s : ndarray of float64, shape (n,)
        Centre of each row, seconds from the start of the recording, ascending.
    logits : ndarray of float64, shape (n,)
        Log-odds against noise, p clamped to [1e-6, 1 − 1e-6].

    Raises
    ------
    TableError
        When the file cannot be read, is another recording's, or holds numbers that are none.
    """
    track = read_score_track(path)
    if track.meta.recording != recording:
        raise TableError(f"{path}: is the score track of {track.meta.recording}, not of {recording}. Score it again.")
    instants_s, logits = logit_curve(track)
    if not np.isfinite(logits).all() or np.any(np.diff(instants_s) < 0):
        raise TableError(
            f"{path}: holds NaN, or rows that are not in time order. Delete it and run the prediction again."
        )
    return instants_s, logits


def logit_curve(track: ScoreTrack) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the instants (s) and log-odds against noise of a track's rows; see :func:`read_logits`."""
    classes = sorted(track.meta.classes, key=lambda name: track.meta.classes[name])
    noise = noise_index(classes)
    others = [index for index in range(len(classes)) if index != noise]
    return track.centre_s, log_odds(track.probs[:, others].sum(axis=1, dtype=np.float64))


def score_context(
    instants_s: NDArray[np.float64], logits: NDArray[np.float64], selections: Intervals
) -> NDArray[np.float64]:
    """Return what a score curve tells about selections.

    Parameters
    ----------
    instants_s, logits
        The curve, shape (n,), instants ascending.
    selections
        Seconds on the same axis, shape (k, 2).

    Returns
    -------
    ndarray of float64, shape (k, 6)
        In the order of :data:`SCORE_COLUMNS`: largest and smallest logit of the rows inside (of the nearest row
        where none is), logit at the middle (interpolated), mean of the second before and of the second after, and
        how far the mean inside lies above the mean of both. NaN where there is no row to tell from.
    """
    if len(instants_s) == 0 or len(selections) == 0:
        return np.full((len(selections), len(SCORE_COLUMNS)), np.nan)
    begin_s, end_s = selections[:, 0], selections[:, 1]
    middle_s = (begin_s + end_s) / 2
    first = np.searchsorted(instants_s, begin_s, side="left")
    stop = np.searchsorted(instants_s, end_s, side="right")
    nearest = nearest_row(instants_s, middle_s)
    empty = stop <= first
    inside_first, inside_stop = np.where(empty, nearest, first), np.where(empty, nearest + 1, stop)
    before = np.searchsorted(instants_s, begin_s - SCORES_AROUND_S, side="left")
    after = np.searchsorted(instants_s, end_s + SCORES_AROUND_S, side="right")

    starts = np.cumsum(inside_stop - inside_first) - (inside_stop - inside_first)
    rows = np.repeat(inside_first - starts, inside_stop - inside_first) + np.arange((inside_stop - inside_first).sum())
    sums = np.concatenate(([0.0], np.cumsum(logits)))
    around_sum = sums[first] - sums[before] + sums[after] - sums[stop]
    around = _divided(around_sum, first - before + after - stop)
    return np.column_stack(
        (
            np.maximum.reduceat(logits[rows], starts),
            np.minimum.reduceat(logits[rows], starts),
            np.interp(middle_s, instants_s, logits),
            _divided(sums[first] - sums[before], first - before),
            _divided(sums[after] - sums[stop], after - stop),
            _divided(sums[inside_stop] - sums[inside_first], inside_stop - inside_first) - around,
        )
    )


def level_frame(sample_rate: int) -> int:
    """Return how many samples a frame of :func:`level_above` has: the power of two next to 20 ms."""
    return 1 << max(1, round(math.log2(_FRAME_S * sample_rate)))


def level_above(
    sound: Samples, bounds: NDArray[np.int64], bands_hz: NDArray[np.float64], sample_rate: int
) -> NDArray[np.float64]:
    """Return how far selections stand out of the second around them, in dB.

    The level is that of the selection's band; the surrounding second is half a second before and half a second
    after, or what of it `sound` holds, but for the 20 ms beside the selection. Power is summed over frames of about
    20 ms (Hann, no overlap), without a recorder's offset; a frame at an edge counts with the share that lies inside.

    Parameters
    ----------
    sound
        Mono. A selection's level is the same within any longer stretch that starts a multiple of frames earlier.
    bounds
        First and behind-last sample of each selection within `sound`, shape (n, 2).
    bands_hz
        Low and high limit of each selection, shape (n, 2); all frequencies where high is 0.
    sample_rate
        Hz.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN for an empty selection, and where nothing surrounds it.
    """
    levels = np.full(len(bounds), np.nan)
    size = level_frame(sample_rate)
    bands, band_of = np.unique(bands_hz, axis=0, return_inverse=True)
    bins = [_bins(band, sample_rate / size, size // 2) for band in bands]
    power = _band_power(sound, size, bins)
    margin = round(SOUND_AROUND_S * sample_rate)
    edges = np.minimum(np.arange(power.shape[1] + 1) * size, len(sound))
    for band in range(len(bands)):
        rows = np.flatnonzero(band_of == band)
        begin, end = bounds[rows, 0], bounds[rows, 1]
        # A frame that holds an edge holds part of the selection: it is not taken for its surroundings.
        ahead, behind = np.maximum(begin - size, 0), np.minimum(end + size, len(sound))
        before, after = np.maximum(begin - margin, 0), np.minimum(end + margin, len(sound))
        energy = np.concatenate(([0.0], np.cumsum(power[band])))
        at = np.interp(np.stack((before, ahead, begin, end, behind, after)), edges, energy)
        inside = _divided(at[3] - at[2], end - begin)
        around = _divided(at[1] - at[0] + at[5] - at[4], ahead - before + after - behind)
        levels[rows] = 10 * np.log10(np.maximum(inside, _LEAST_POWER) / np.maximum(around, _LEAST_POWER))
    return levels


def _band_power(sound: Samples, size: int, bins: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the energy (sum of squares) of each frame in each of the bands, shape (bands, frames)."""
    n_frames = -(-len(sound) // size)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    one_sided = 2 / float(window @ window)
    power = np.empty((len(bins), n_frames))
    block = np.empty((max(1, _BLOCK_BYTES // (4 * size)), size), dtype=np.float32)
    for first in range(0, n_frames, len(block)):
        part = sound[first * size : (first + len(block)) * size]
        full, rest = divmod(len(part), size)
        frames = block[: full + (rest > 0)]
        np.multiply(part[: full * size].reshape(full, size), window, out=frames[:full])
        if rest:
            frames[full, rest:] = 0
            cut = part[full * size :]
            # A window that is cut off lets an offset leak into all bins.
            np.multiply(cut - cut.mean(dtype=np.float64).astype(np.float32), window[:rest], out=frames[full, :rest])
        spectrum = scipy.fft.rfft(frames).view(np.float32)  # real and imaginary parts in turn
        spectrum[:, 2] += spectrum[:, 0] / 2  # the Hann window lets a recorder's offset stand in bins 0 and 1
        for band, (low, high) in enumerate(bins):
            inside = spectrum[:, 2 * low : 2 * high]
            power[band, first : first + len(frames)] = one_sided * np.einsum("fb,fb->f", inside, inside)
    return power


def _bins(band_hz: NDArray[np.float64], bin_hz: float, last: int) -> tuple[int, int]:
    """Return the bins of a band, at least one, never the one at 0 Hz: a recorder's offset is no sound."""
    low_hz, high_hz = band_hz
    if high_hz <= 0:
        return 1, last + 1
    first = min(max(1, int(np.ceil(low_hz / bin_hz))), last)
    return first, max(first, min(int(high_hz / bin_hz), last)) + 1


def _divided(total: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return total / count; NaN where nothing was counted."""
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
