"""Robust spectral measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hum_rf_filter.spectral import band_bins, entropy_bits, quantile_positions


def test_a_band_reaches_from_the_first_bin_at_or_above_to_the_last_at_or_below() -> None:
    # Bins at 0, 10, 20, … Hz.
    assert band_bins(10, 40, 1000, 100) == slice(1, 5)
    assert band_bins(11, 39, 1000, 100) == slice(2, 4)


@pytest.mark.parametrize("low_hz", [0.0, 100.0])
def test_no_limit_without_a_high_frequency(low_hz: float) -> None:
    assert band_bins(low_hz, 0, 1000, 100) == slice(0, 51)


def test_a_band_between_two_bins_is_empty() -> None:
    band = band_bins(11, 19, 1000, 100)
    assert band.start == band.stop


def test_the_quantile_lies_between_columns_in_proportion_to_their_share() -> None:
    weights = np.array([[1.0, 1.0, 2.0]])  # shares 0.25, 0.5, 1
    assert quantile_positions(weights, 0.25) == 0
    assert quantile_positions(weights, 0.5) == 1
    assert quantile_positions(weights, 0.75) == 1.5


def test_the_first_column_is_the_quantile_when_it_holds_the_share_alone() -> None:
    assert quantile_positions(np.array([[9.0, 1.0]]), 0.5) == 0


def test_silence_has_its_quantiles_at_the_first_column() -> None:
    assert quantile_positions(np.zeros((1, 4)), 0.5) == 0


@given(arrays(np.float64, (3, 8), elements=st.floats(0, 1e3)), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]))
def test_zeros_behind_a_distribution_do_not_move_its_quantiles(weights: np.ndarray, q: float) -> None:
    padded = np.hstack((weights, np.zeros((3, 5))))
    np.testing.assert_allclose(quantile_positions(padded, q), quantile_positions(weights, q), atol=1e-6)


def test_quantiles_follow_the_definition() -> None:
    rng = np.random.default_rng(1)
    for weights in rng.random((20, 9)):
        share = np.cumsum(weights) / weights.sum()
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            i = next(i for i in range(9) if share[i] >= q)
            expected = 0 if i == 0 else i - 1 + (q - share[i - 1]) / (share[i] - share[i - 1])
            assert quantile_positions(weights[np.newaxis], q)[0] == pytest.approx(expected)


def test_entropy_is_the_logarithm_of_the_number_of_equal_shares() -> None:
    assert entropy_bits(np.ones((1, 8)))[0] == pytest.approx(3)
    assert entropy_bits(np.array([[1.0, 0, 0, 0]]))[0] == pytest.approx(0, abs=1e-9)


def test_silence_has_almost_no_entropy() -> None:
    assert entropy_bits(np.zeros((1, 100)))[0] == pytest.approx(100 * 1e-12 * np.log2(1e12))
