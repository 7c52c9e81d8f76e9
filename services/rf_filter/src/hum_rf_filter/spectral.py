"""Robust spectral measures of selections, after Raven Pro's robust signal measurements.

A measure is robust when it rests on the order of energy in time or frequency rather than on the edges that a
person or a detector drew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPECTRAL_COLUMNS = (
    "Dur 90% (s)",
    "Dur 50% (s)",
    "Center Freq (Hz)",
    "Freq 5% (Hz)",
    "Freq 25% (Hz)",
    "Freq 75% (Hz)",
    "Freq 95% (Hz)",
    "BW 50% (Hz)",
    "BW 90% (Hz)",
    "Avg Entropy (bits)",
    "Agg Entropy (bits)",
)

_TINY = 1e-12  # keeps shares and logarithms of silence finite


def band_bins(low_hz: float, high_hz: float, sample_rate: int, n_fft: int) -> slice:
    """Return the rows of a spectrogram from the first bin ≥ `low_hz` to the last ≤ `high_hz`.

    No limit when `high_hz` is 0. Empty when no bin lies in the band.
    """
    n_bins = 1 + n_fft // 2
    if high_hz <= 0:
        return slice(0, n_bins)
    centres_hz = np.arange(n_bins) * sample_rate / n_fft
    first = int(np.searchsorted(centres_hz, low_hz, side="left"))
    last = int(np.searchsorted(centres_hz, high_hz, side="right"))
    return slice(first, max(first, last))


def entropy_bits(distributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row of power values, in bits: −Σ p·log2 p, p clipped to [1e-12, 1].

    Parameters
    ----------
    distributions
        Shape (n, k), not negative; need not add up to 1.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    share = distributions / (distributions.sum(axis=1, keepdims=True) + _TINY)
    np.clip(share, _TINY, 1, out=share)
    entropy: NDArray[np.float64] = -np.einsum("nk,nk->n", share, np.log2(share))
    return entropy


def quantile_positions(weights: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Return where the cumulative share of each row's weights reaches `quantile`.

    With c the cumulative share and i the first index with c_i ≥ `quantile`: 0 at i = 0, else between i − 1 and
    i in proportion to the share.

    Parameters
    ----------
    weights
        Shape (n, k), k ≥ 1, not negative; zeros at a row's end do no harm.
    quantile
        In (0, 1).

    Returns
    -------
    ndarray of float64, shape (n,)
        Positions in units of columns; 0 for a row of zeros, which reaches nothing.
    """
    total = weights.sum(axis=1, keepdims=True)
    share = np.cumsum(weights, axis=1) / np.where(total > 0, total, 1)
    row = np.arange(len(weights))
    index = np.argmax(share >= quantile, axis=1)
    before = share[row, np.maximum(index - 1, 0)]
    step = np.where(index > 0, share[row, index] - before, 1)
    return np.where(index > 0, index - 1 + (quantile - before) / step, 0.0)


def spectral_measures(
    spectra: NDArray[np.float64],
    envelopes: NDArray[np.float64],
    frame_entropies: NDArray[np.float64],
    lowest_hz: float,
    bin_hz: float,
    hop_s: float,
) -> NDArray[np.float64]:
    """Return the measures of selections that share one frequency band.

    Parameters
    ----------
    spectra
        Mean power per bin of the band, shape (n, bins), bins ≥ 1.
    envelopes
        Power of the band per frame, shape (n, longest); zeros behind a selection's last frame.
    frame_entropies
        Mean entropy of the selections' frames in bits, shape (n,).
    lowest_hz, bin_hz
        Centre of the band's first bin, and the distance between bins.
    hop_s
        Seconds from frame to frame.

    Returns
    -------
    ndarray of float64, shape (n, 11)
        In the order of :data:`SPECTRAL_COLUMNS`.
    """
    t5, t25, t75, t95 = (hop_s * quantile_positions(envelopes, q) for q in (0.05, 0.25, 0.75, 0.95))
    f5, f25, f50, f75, f95 = (
        lowest_hz + bin_hz * quantile_positions(spectra, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    return np.column_stack(
        (
            *(t95 - t5, t75 - t25),
            *(f50, f5, f25, f75, f95, f75 - f25, f95 - f5),
            *(frame_entropies, entropy_bits(spectra)),
        )
    )
