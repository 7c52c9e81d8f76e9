"""Cepstral statistics of many selections equal librosa's of each."""

import librosa
import numpy as np
import pytest

from hum_rf_filter.cepstral import cepstral_columns, cepstral_statistics, mel_filters
from hum_rf_filter.stft import frame_counts, power_blocks

RATE, N_FFT, HOP = 8000, 512, 256


def librosa_statistics(sound: np.ndarray, n_mfcc: int) -> np.ndarray:
    mfcc = librosa.feature.mfcc(y=sound, sr=RATE, n_mfcc=n_mfcc, n_fft=N_FFT, hop_length=HOP)
    mode = "interp" if mfcc.shape[1] >= 9 else "nearest"
    parts = [mfcc, *(librosa.feature.delta(mfcc, order=order, mode=mode) for order in (1, 2))]
    std = [part.std(axis=1, ddof=1) if part.shape[1] > 1 else np.zeros(n_mfcc) for part in parts]
    return np.concatenate([np.stack((p.mean(axis=1), s), axis=1).ravel() for p, s in zip(parts, std, strict=True)])


def statistics(sounds: list[np.ndarray], n_mfcc: int) -> np.ndarray:
    power = np.concatenate(list(power_blocks(sounds, N_FFT, HOP)))
    counts = frame_counts(np.array([len(one) for one in sounds]), N_FFT, HOP)
    return cepstral_statistics((mel_filters(RATE, N_FFT) @ power.T).T, counts, n_mfcc, include_deltas=True)


@pytest.mark.filterwarnings("ignore:n_fft=512 is too large:UserWarning")  # librosa's, about the shortest ones
@pytest.mark.parametrize("n_mfcc", [1, 13, 40])
def test_statistics_equal_librosa_selection_by_selection(n_mfcc: int) -> None:
    rng = np.random.default_rng(0)
    # 1, 2, 8, 9, 10 and 40 frames: the derivative's special cases lie around nine.
    sounds = [rng.normal(0, 0.1, (n - 1) * HOP + 10).astype(np.float32) for n in (1, 2, 8, 9, 10, 40)]
    expected = np.array([librosa_statistics(sound, n_mfcc) for sound in sounds])
    np.testing.assert_allclose(statistics(sounds, n_mfcc), expected, rtol=1e-4, atol=1e-4)


def test_the_range_of_80_db_is_that_of_each_selection_alone() -> None:
    rng = np.random.default_rng(0)
    quiet, loud = (rng.normal(0, level, 4000).astype(np.float32) for level in (1e-5, 0.5))
    np.testing.assert_allclose(statistics([quiet, loud], 13)[:1], statistics([quiet], 13))


def test_columns_alternate_mean_and_deviation_and_end_with_the_second_difference() -> None:
    columns = cepstral_columns(2, include_deltas=True)
    assert columns[:4] == ("mfcc1_mean", "mfcc1_std", "mfcc2_mean", "mfcc2_std")
    assert columns[4] == "d_mfcc1_mean"
    assert columns[-1] == "dd_mfcc2_std"
    assert cepstral_columns(2, include_deltas=False) == columns[:4]


def test_filters_that_are_empty_by_definition_are_not_warned_about() -> None:
    filters = mel_filters(48000, 256)  # this project's tests turn warnings into errors
    assert (filters.sum(axis=1) == 0).any()
