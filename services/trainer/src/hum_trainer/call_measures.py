"""What calls are like: how long, how far apart, and in which frequencies they rise above their surroundings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from hum_shared.audio import Samples, read_mono
from hum_shared.errors import AudioError
from hum_shared.intervals import Intervals, gaps, merged
from hum_trainer.labelled_recordings import LabelledRecording

MOST_CALLS = 300
"""How many calls are listened to; spread evenly over the corpus."""

_BANDS_PER_OCTAVE = 4
_SHORTER, _MUCH_SHORTER = 0.1, 3.0  # the shortest tenth sets the pace where calls are this many times as long
_HEARD_DB = 6.0  # a band is heard in a call when it is this far above the surroundings
_HEARD_IN = 0.15  # share of calls in which a band of the core is heard
_REACHED_BY = 0.1  # share of calls that reach beyond the core
_FARTHEST_OCTAVES = 2
_SURROUNDINGS = 3.0  # call lengths on either side that count as surroundings
_GUARD = 0.1  # share of a call's length next to it that does not: edges are not exact
_TINY = 1e-20
_SAMPLES_AT_A_TIME = 1 << 20  # of a call that may last minutes; its spectra take eight times the room


@dataclass(frozen=True)
class CallMeasures:
    """Measurements of a corpus's calls.

    Attributes
    ----------
    durations_s
        Of every call, shape (n,), n ≥ 1.
    gaps_s
        From each call to the next in its recording, where they do not touch; shape (m,).
    sample_rates
        Of every recording that holds calls, Hz, in ascending order.
    n_calls
        In each of them.
    low_hz, high_hz
        The band in which calls are heard; None when they are heard nowhere.
    resolution_hz
        How finely the band was measured at its lower end.
    """

    durations_s: NDArray[np.float64]
    gaps_s: NDArray[np.float64]
    sample_rates: tuple[int, ...]
    n_calls: tuple[int, ...]
    low_hz: float | None
    high_hz: float | None
    resolution_hz: float


def measure_calls(recordings: Sequence[LabelledRecording]) -> CallMeasures:
    """Measure the calls of a corpus; reads the audio of at most :data:`MOST_CALLS` of them.

    For the band see :func:`heard_bands`: what rises and falls without the calls, as wind does, cancels out.

    Parameters
    ----------
    recordings
        At least one with a call.

    Raises
    ------
    AudioError
        When a recording cannot be read.
    """
    with_calls = [recording for recording in recordings if len(recording.calls)]
    by_rate = sorted(with_calls, key=lambda recording: recording.sample_rate)
    durations, between = durations_and_gaps([recording.calls for recording in with_calls])
    rates = tuple(recording.sample_rate for recording in by_rate)
    n_calls = tuple(len(recording.calls) for recording in by_rate)
    n_fft_s = usual_duration_s(durations) / 4
    edges = band_edges_hz(2 / n_fft_s, rates[-1] / 2)
    levels = []
    every = max(1, -(-len(durations) // MOST_CALLS))
    passed = 0
    for recording in with_calls:
        chosen = [row for row in range(len(recording.calls)) if (passed + row) % every == 0]
        passed += len(recording.calls)
        levels += [_excess_db(recording, row, n_fft_s, edges) for row in chosen]
    heard = heard_bands(np.array(levels))
    bands = np.flatnonzero(heard)
    low_hz, high_hz = (float(edges[bands[0]]), float(edges[bands[-1] + 1])) if len(bands) else (None, None)
    return CallMeasures(durations, between, rates, n_calls, low_hz, high_hz, 2 / n_fft_s)


def durations_and_gaps(calls: Sequence[Intervals]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the durations of all calls and the gaps between those that do not touch, seconds.

    Parameters
    ----------
    calls
        The calls of each recording, sorted.
    """
    nothing = np.empty(0)
    durations = [times[:, 1] - times[:, 0] for times in calls]
    between = [np.diff(merged(times).ravel())[1::2] for times in calls]
    return np.concatenate([nothing, *durations]), np.concatenate([nothing, *between])


def usual_duration_s(durations_s: NDArray[np.float64]) -> float:
    """Return the duration of call that settings are made for.

    That is the median; but where a tenth of the calls and more are of a much shorter kind, so much less that these are
    neither lost between frames nor in spectra longer than themselves.

    Parameters
    ----------
    durations_s
        Shape (n,), n ≥ 1.
    """
    return min(float(np.median(durations_s)), _MUCH_SHORTER * short_duration_s(durations_s))


def short_duration_s(durations_s: NDArray[np.float64]) -> float:
    """Return the duration that a tenth of the calls stay at or below."""
    return float(np.quantile(durations_s, _SHORTER, method="inverted_cdf"))


def band_edges_hz(resolution_hz: float, highest_hz: float) -> NDArray[np.float64]:
    """Return edges of bands from 0 Hz up: a quarter octave wide, but never narrower than `resolution_hz`."""
    edges = [0.0]
    while edges[-1] + resolution_hz / 2 < highest_hz:
        edges.append(max(edges[-1] + resolution_hz, edges[-1] * 2 ** (1 / _BANDS_PER_OCTAVE)))
    edges[-1] = min(edges[-1], highest_hz)
    return np.array(edges)


def heard_bands(excess_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which bands belong to the calls: one run of bands.

    Its core are bands in which many calls are heard. Gaps of up to an octave, as between harmonics, are bridged; of
    several runs the core is the one with most of the excess: a faint one far off, a fly or a step at every call,
    is not the call. From there it reaches as far as a tenth of the calls do. Everywhere calls count in which a
    band is as far *below* the surroundings against those in which it is above.

    Parameters
    ----------
    excess_db
        Level of each call over its surroundings, shape (calls, bands); NaN where it was not measured.

    Returns
    -------
    ndarray of bool, shape (bands,)
        All false where calls are heard nowhere.
    """
    heard = np.zeros(excess_db.shape[1], dtype=np.bool_)
    above, below = excess_db >= _HEARD_DB, excess_db <= -_HEARD_DB
    measured = np.maximum(1, np.isfinite(excess_db).sum(axis=0))
    balance = above.sum(axis=0) - below.sum(axis=0)
    bands = np.flatnonzero((balance / measured >= _HEARD_IN) & _beyond_chance(above.sum(axis=0), below.sum(axis=0)))
    if len(bands) == 0:
        return heard
    runs = np.split(bands, np.flatnonzero(np.diff(bands) > _BANDS_PER_OCTAVE + 1) + 1)
    strength = np.nan_to_num(np.maximum(excess_db, 0)).sum(axis=0)
    core = max(runs, key=lambda run: float(strength[run].sum()))
    first = core[0] - _reach(above[:, : core[0]][:, ::-1], below[:, : core[0]][:, ::-1])
    stop = core[-1] + 1 + _reach(above[:, core[-1] + 1 :], below[:, core[-1] + 1 :])
    heard[first:stop] = True
    return heard


def _reach(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> int:
    """Return how many bands beyond the core's edge, the nearest first, a tenth of the calls reach."""
    reach = 0
    nearby = min(above.shape[1], _FARTHEST_OCTAVES * _BANDS_PER_OCTAVE)
    for band in range(nearby):
        n_above, n_below = above[:, band:nearby].any(axis=1).sum(), below[:, band:nearby].any(axis=1).sum()
        if n_above - n_below >= _REACHED_BY * len(above) and _beyond_chance(n_above, n_below):
            reach = band + 1
    return reach


def _beyond_chance(n_above: NDArray[np.int64], n_below: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether counts differ by more than 1.5 standard deviations of what chance would make of their sum."""
    more: NDArray[np.bool_] = n_above - n_below >= 1.5 * np.sqrt(n_above + n_below)
    return more


def _excess_db(
    recording: LabelledRecording, row: int, n_fft_s: float, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the level of one call over its surroundings per band; NaN above half the recording's rate.

    Raises
    ------
    AudioError
        When it cannot be read, or holds NaN or infinite samples there.
    """
    start_s, end_s = recording.calls[row].tolist()
    dur_s, rate = end_s - start_s, recording.sample_rate
    guard_s = _GUARD * dur_s
    widened = recording.calls + np.array([-guard_s, guard_s])
    reach_s = max(_SURROUNDINGS * dur_s, 2 * n_fft_s)
    low_s, high_s = max(0.0, start_s - reach_s), min(recording.dur_s, end_s + reach_s)
    free = gaps(widened, low_s, high_s)
    n_fft = max(16, round(n_fft_s * rate))
    audio = read_mono(recording.path, int(low_s * rate), int(high_s * rate))
    out = np.full(len(edges) - 1, np.nan)
    if not np.isfinite(audio).all():
        raise AudioError(f"{recording.path}: NaN or infinite samples around {start_s:g} s. Export it again.")

    def part(from_s: float, to_s: float) -> Samples:
        return audio[max(0, round((from_s - low_s) * rate)) : round((to_s - low_s) * rate)]

    call = _mean_power([part(start_s, end_s)], n_fft)
    quiet = _mean_power([part(from_s, to_s) for from_s, to_s in free.tolist()], n_fft)
    if call is None or quiet is None:
        return out
    bins = np.fft.rfftfreq(n_fft, 1 / rate)
    for band, (low_hz, high_hz) in enumerate(itertools.pairwise(edges)):
        inside = (bins >= low_hz) & (bins < high_hz)
        if inside.any() and high_hz <= rate / 2 * 1.01:
            out[band] = 10 * np.log10((call[inside].mean() + _TINY) / (quiet[inside].mean() + _TINY))
    return out


def _mean_power(parts: Sequence[Samples], n_fft: int) -> NDArray[np.float64] | None:
    """Return the mean power spectrum of stretches of audio; None when none is as long as half a transform."""
    stft = ShortTimeFFT(hann(n_fft, sym=False), hop=max(1, n_fft // 2), fs=1.0)
    total, n_frames = np.zeros(n_fft // 2 + 1), 0
    size = max(_SAMPLES_AT_A_TIME, n_fft)
    for samples in (part[first : first + size] for part in parts for first in range(0, len(part), size)):
        if len(samples) < n_fft // 2:
            continue
        missing = max(0, n_fft - len(samples))
        padded = np.pad(samples.astype(np.float64), (missing // 2, missing - missing // 2))
        # Only transforms that lie wholly inside: beyond the edges something else is heard.
        first = stft.lower_border_end[1]
        stop = max(first + 1, stft.upper_border_begin(len(padded))[1])
        power = stft.spectrogram(padded, p0=first, p1=stop) * len(padded) / len(samples)
        total, n_frames = total + power.sum(axis=1), n_frames + power.shape[1]
    return total / n_frames if n_frames else None
