"""Acoustic features of selections: segments of sound in, one row of numbers per segment out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.cepstral import N_MELS, cepstral_columns, cepstral_statistics, mel_filters
from hum_rf_filter.context import CONTEXT_COLUMNS
from hum_rf_filter.spectral import SPECTRAL_COLUMNS, band_bins, entropy_bits, spectral_measures
from hum_rf_filter.stft import frame_counts, power_blocks
from hum_shared.audio import Samples

FEATURES_VERSION = 2
"""Raised when the same selection has other features."""
LOGIT_FEATURE = "cnn_logit_mean"
FILLED_COLUMNS = frozenset((LOGIT_FEATURE, *CONTEXT_COLUMNS))
"""Features of which single values may be missing: they are filled with the training median."""


@dataclass(frozen=True)
class FeatureSettings:
    """How features are computed.

    Attributes
    ----------
    n_fft, hop
        Length of a frame and distance between frames, samples.
    n_mfcc
        Cepstral coefficients.
    include_deltas
        Also their first and second differences.
    """

    n_fft: int = 2048
    hop: int = 1024
    n_mfcc: int = 13
    include_deltas: bool = True

    @property
    def acoustic_columns(self) -> tuple[str, ...]:
        """Names of the features that a selection's own sound gives."""
        return SPECTRAL_COLUMNS + cepstral_columns(self.n_mfcc, self.include_deltas)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all features but `cnn_logit_mean`, in the order in which they are written."""
        return self.acoustic_columns + CONTEXT_COLUMNS


def segment_features(
    segments: Sequence[Samples],
    bands_hz: NDArray[np.float64],
    sample_rate: int,
    settings: FeatureSettings,
) -> NDArray[np.float64]:
    """Return the acoustic features of segments.

    Parameters
    ----------
    segments
        Mono sound of each selection; may be empty.
    bands_hz
        Low and high limit of each selection's spectral measures, shape (n, 2); no limit where high is 0.
    sample_rate
        Hz.

    Returns
    -------
    ndarray of float64, shape (n, len(settings.acoustic_columns))
        NaN in every column for an empty segment, and in the spectral ones for a band that holds no bin.
    """
    features = np.full((len(segments), len(settings.acoustic_columns)), np.nan)
    lengths = np.array([len(segment) for segment in segments], dtype=np.int64)
    for band in np.unique(bands_hz, axis=0):
        rows = np.flatnonzero((bands_hz == band).all(axis=1) & (lengths > 0)).tolist()
        if rows:
            bins = band_bins(band[0], band[1], sample_rate, settings.n_fft)
            features[rows] = _features_in_band([segments[row] for row in rows], bins, sample_rate, settings)
    return features


def _features_in_band(
    segments: Sequence[Samples], bins: slice, sample_rate: int, settings: FeatureSettings
) -> NDArray[np.float64]:
    lengths = np.array([len(segment) for segment in segments], dtype=np.int64)
    counts = frame_counts(lengths, settings.n_fft, settings.hop)
    owner = np.repeat(np.arange(len(segments)), counts)
    filters = mel_filters(sample_rate, settings.n_fft)
    mel_power = np.empty((len(owner), N_MELS))
    envelope, entropy = np.empty(len(owner)), np.empty(len(owner))
    spectra = np.zeros((len(segments), bins.stop - bins.start))
    done = 0
    for power in power_blocks(segments, settings.n_fft, settings.hop):
        frames = slice(done, done + len(power))
        done += len(power)
        mel_power[frames] = (filters @ power.T).T
        in_band = power[:, bins]
        envelope[frames] = in_band.sum(axis=1)
        entropy[frames] = entropy_bits(in_band)
        owners, firsts = np.unique(owner[frames], return_index=True)
        spectra[owners] += np.add.reduceat(in_band, firsts, axis=0)

    cepstral = cepstral_statistics(mel_power, counts, settings.n_mfcc, settings.include_deltas)
    if bins.start == bins.stop:
        return np.hstack((np.full((len(segments), len(SPECTRAL_COLUMNS)), np.nan), cepstral))
    envelopes = np.zeros((len(segments), counts.max()))
    envelopes[owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)] = envelope
    bin_hz = sample_rate / settings.n_fft
    spectral = spectral_measures(
        spectra / counts[:, np.newaxis],
        envelopes,
        np.bincount(owner, weights=entropy) / counts,
        lowest_hz=bins.start * bin_hz,
        bin_hz=bin_hz,
        hop_s=settings.hop / sample_rate,
    )
    return np.hstack((spectral, cepstral))
