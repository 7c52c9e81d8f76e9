"""Mel-frequency cepstral coefficients of selections and how they change, as means and standard deviations.

Equal to :func:`librosa.feature.mfcc` and :func:`librosa.feature.delta` of each selection alone, but computed for
the frames of many selections at once.
"""

from __future__ import annotations

import warnings
from functools import cache

import librosa
import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
from numpy.typing import NDArray

N_MELS = 128  # librosa's default
DELTA_WIDTH = 9  # librosa's default, frames

_LEAST_POWER = 1e-10
_RANGE_DB = 80.0


def cepstral_columns(n_mfcc: int, include_deltas: bool) -> tuple[str, ...]:
    """Return the names of the cepstral features, in the order of :func:`cepstral_statistics`."""
    prefixes = ("", "d_", "dd_") if include_deltas else ("",)
    return tuple(
        f"{prefix}mfcc{number}_{statistic}"
        for prefix in prefixes
        for number in range(1, n_mfcc + 1)
        for statistic in ("mean", "std")
    )


@cache
def mel_filters(sample_rate: int, n_fft: int) -> scipy.sparse.csr_array:
    """Return librosa's mel filters, shape (128, 1 + n_fft // 2); hardly two filters share a bin: most is zero."""
    with warnings.catch_warnings():
        # That some of the 128 are empty, as with a short n_fft, is part of the definition and not to be mended.
        warnings.filterwarnings("ignore", "Empty filters", UserWarning)
        filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=N_MELS, dtype=np.float64)
    return scipy.sparse.csr_array(filters)


def cepstral_statistics(
    mel_power: NDArray[np.float64], counts: NDArray[np.int64], n_mfcc: int, include_deltas: bool
) -> NDArray[np.float64]:
    """Return mean and standard deviation over frames of each coefficient, selection by selection.

    Parameters
    ----------
    mel_power
        Mel power of the frames of all selections, one after the other, shape (frames, 128).
    counts
        Frames of each selection, at least 1, shape (n,).
    n_mfcc
        Coefficients, at most 128.
    include_deltas
        Also the first and second differences of the coefficients.

    Returns
    -------
    ndarray of float64, shape (n, columns)
        In the order of :func:`cepstral_columns`. The standard deviation has ddof 1, and is 0 for one frame.
    """
    coefficients = _cepstra(mel_power, counts)[:, :n_mfcc]
    parts = [coefficients]
    if include_deltas:
        around = coefficients[_neighbours(counts)]
        parts += [np.einsum("fwc,w->fc", around, _slope_weights(order), optimize=True) for order in (1, 2)]
    return np.hstack([_mean_and_std(part, counts) for part in parts])


def _cepstra(mel_power: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    level_db = 10 * np.log10(np.maximum(mel_power, _LEAST_POWER))
    loudest_db = np.maximum.reduceat(level_db.max(axis=1), _firsts(counts))
    np.maximum(level_db, np.repeat(loudest_db - _RANGE_DB, counts)[:, np.newaxis], out=level_db)
    cepstra: NDArray[np.float64] = scipy.fft.dct(level_db, type=2, norm="ortho", axis=1)
    return cepstra


def _slope_weights(order: int) -> NDArray[np.float64]:
    """Return the weights of nine neighbouring frames that give the derivative at the middle one."""
    weights: NDArray[np.float64] = scipy.signal.savgol_coeffs(DELTA_WIDTH, polyorder=order, deriv=order, use="dot")
    return weights


def _neighbours(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each frame the nine frames that its derivative rests on, shape (frames, 9).

    Near the ends of a selection the polynomial is that of the outermost nine frames; its highest derivative is
    the same at all of them (librosa's ``mode="interp"``). A selection shorter than nine frames repeats its
    first and last one (``mode="nearest"``).
    """
    half = DELTA_WIDTH // 2
    first = np.repeat(_firsts(counts), counts)
    last = first + np.repeat(counts, counts) - 1
    frame = np.arange(counts.sum())
    middle = np.where(last - first + 1 >= DELTA_WIDTH, np.clip(frame, first + half, last - half), frame)
    around = middle[:, np.newaxis] + np.arange(-half, half + 1)
    return np.clip(around, first[:, np.newaxis], last[:, np.newaxis])


def _mean_and_std(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return mean and standard deviation of each column per selection, alternating: shape (n, 2 · columns)."""
    firsts, n = _firsts(counts), counts[:, np.newaxis]
    mean = np.add.reduceat(values, firsts, axis=0) / n
    spread = np.add.reduceat((values - np.repeat(mean, counts, axis=0)) ** 2, firsts, axis=0)
    std = np.sqrt(spread / np.maximum(n - 1, 1))
    return np.stack((mean, std), axis=2).reshape(len(counts), -1)


def _firsts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts
