"""Votes become probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_rf_filter.calibration import Calibration, cross_calibrated, fit_calibration, log_loss


def votes_and_truth(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return overconfident votes and labels: of those with votes v, a share between 0.2 and 0.8 are targets."""
    rng = np.random.default_rng(seed)
    votes = rng.uniform(0, 1, n)
    return rng.uniform(0, 1, n) < 0.2 + 0.6 * votes, votes


@pytest.mark.parametrize(("n", "method"), [(300, "sigmoid"), (4000, "isotonic")])
def test_probabilities_are_the_shares_they_claim(n: int, method: str) -> None:
    is_target, votes = votes_and_truth(n)
    calibration = fit_calibration(is_target, votes)
    assert calibration is not None
    assert (calibration.method, calibration.n_rows) == (method, n)
    fresh_truth, fresh = votes_and_truth(20_000, seed=1)
    probs = calibration.apply(fresh)
    for low in (0.3, 0.5, 0.6):
        claimed = (probs >= low) & (probs < low + 0.1)
        assert fresh_truth[claimed].mean() == pytest.approx(probs[claimed].mean(), abs=0.09)
    assert log_loss(fresh_truth, probs) < log_loss(fresh_truth, fresh)


def test_many_rows_of_one_class_alone_are_not_enough_for_isotonic() -> None:
    is_target = np.arange(3000) % 30 != 0
    calibration = fit_calibration(is_target, np.where(is_target, 0.9, 0.4) + 0.05 * np.sin(np.arange(3000)))
    assert calibration is not None
    assert calibration.method == "sigmoid"


@settings(deadline=None, max_examples=25)
@given(st.integers(20, 1500), st.integers(0, 50))
def test_more_votes_never_mean_less_probability(n: int, seed: int) -> None:
    calibration = fit_calibration(*votes_and_truth(n, seed))
    if calibration is not None:
        probs = calibration.apply(np.linspace(0, 1, 101))
        assert (np.diff(probs) >= 0).all()
        assert ((probs >= 0) & (probs <= 1)).all()


def test_votes_that_fall_with_the_truth_or_know_one_class_have_no_calibration() -> None:
    is_target, votes = votes_and_truth(300)
    assert fit_calibration(is_target, 1 - votes) is None
    assert fit_calibration(np.ones(300, dtype=bool), votes) is None


def test_no_votes_stay_no_probability() -> None:
    for n in (300, 4000):
        calibration = fit_calibration(*votes_and_truth(n))
        assert calibration is not None
        assert np.isnan(calibration.apply(np.array([0.5, np.nan]))).tolist() == [False, True]


def test_a_calibration_survives_the_card() -> None:
    for n in (300, 4000):
        calibration = fit_calibration(*votes_and_truth(n))
        assert calibration is not None
        again = Calibration.model_validate_json(calibration.model_dump_json())
        votes = np.linspace(0, 1, 50)
        np.testing.assert_array_equal(again.apply(votes), calibration.apply(votes))


def test_a_fold_is_calibrated_on_the_others_alone() -> None:
    is_target, votes = votes_and_truth(200)
    judged_by = np.arange(200) % 2
    others = fit_calibration(is_target[1::2], votes[1::2])
    assert others is not None
    np.testing.assert_array_equal(cross_calibrated(is_target, votes, judged_by)[::2], others.apply(votes[::2]))


def test_log_loss_is_the_surprise() -> None:
    assert log_loss(np.array([True, False]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert log_loss(np.array([True]), np.array([0.0])) == pytest.approx(-np.log(0.005))
