"""The threshold that the evidence supports."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_rf_filter.recommendation import LEAST_NOISE, recommend
from hum_rf_filter.thresholds import event_f1_threshold, events_at
from hum_rf_filter.training_data import Events


def events_of(is_target: np.ndarray, missed: int = 0, runs: int = 1) -> Events:
    calls = np.where(is_target, np.cumsum(is_target) - 1, -1)
    ones = np.ones(len(is_target), dtype=np.int64)
    return Events(runs * ones, runs * is_target.astype(np.int64), calls, runs * (int(is_target.sum()) + missed))


def tapes_of(n: int, n_tapes: int = 3) -> np.ndarray:
    return np.array([f"{row % n_tapes}.wav" for row in range(n)], dtype=object)


def separated(n_calls: int, n_noise: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities: calls from 0.8 up, noise up to 0.2."""
    is_target = np.arange(n_calls + n_noise) < n_calls
    return is_target, np.where(is_target, np.linspace(0.8, 1, len(is_target)), np.linspace(0, 0.2, len(is_target)))


def test_false_alarms_that_stand_apart_are_dropped_half_way() -> None:
    is_target, probs = separated(150, 60)
    found = recommend(events_of(is_target), tapes_of(210), probs, across_tapes=True)
    assert found.threshold == pytest.approx((probs[~is_target].max() + probs[is_target].min()) / 2)
    assert "150 out of fold" in found.reason


@pytest.mark.parametrize(
    ("n_calls", "n_noise", "across", "why"),
    [
        (150, LEAST_NOISE - 1, True, "only 29 candidates are false alarms"),
        (150, 60, False, "other tapes are unknown"),
        (40, 60, True, "40 found calls are too few"),
    ],
)
def test_too_little_evidence_passes_everything_and_says_why(n_calls: int, n_noise: int, across: bool, why: str) -> None:
    is_target, probs = separated(n_calls, n_noise)
    found = recommend(events_of(is_target), tapes_of(len(probs)), probs, across)
    assert found.threshold == 0
    assert why in found.reason


def test_a_forest_that_knows_nothing_passes_everything() -> None:
    is_target = np.arange(400) % 3 > 0
    probs = np.random.default_rng(0).uniform(size=400)
    assert recommend(events_of(is_target), tapes_of(400), probs, across_tapes=True).threshold < 0.03


def test_a_tape_that_would_lose_its_calls_counts_against_a_threshold() -> None:
    is_target, probs = separated(1500, 450)  # with fewer calls, the doubt about all of them would decide
    tapes = tapes_of(1950)
    poor = is_target & (tapes == "1.wav") & (np.cumsum(is_target & (tapes == "1.wav")) <= 60)
    probs[poor] = 0.3  # 4 % of all calls, but 12 % of this tape's
    noisy = ~is_target & (np.cumsum(~is_target) <= 300)
    probs[noisy] = 0.5
    found = recommend(events_of(is_target), tapes, probs, across_tapes=True)
    assert 0.2 < found.threshold < 0.3
    assert 0.5 < recommend(events_of(is_target), tapes_of(1950, 1), probs, across_tapes=True).threshold < 0.8


def test_calls_found_by_many_runs_are_no_more_evidence_than_calls() -> None:
    is_target, probs = separated(40, 60)
    four_runs = Events(
        np.ones(400, dtype=np.int64),
        np.tile(is_target, 4).astype(np.int64),
        np.tile(np.where(is_target, np.arange(100), -1), 4),
        160,
    )
    found = recommend(four_runs, tapes_of(400), np.tile(probs, 4), across_tapes=True)
    assert "40 found calls are too few" in found.reason


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(0, 30))
def test_event_f1_is_the_best_of_all_thresholds_and_counts_missed_calls(seed: int, n: int, missed: int) -> None:
    rng = np.random.default_rng(seed)
    is_target = rng.uniform(size=n) < 0.6
    is_target[0] = True
    probs = np.round(rng.uniform(size=n), 1)
    events = events_of(is_target, missed)

    def f1(threshold: float) -> float:
        kept = probs >= threshold
        tp, fp = (kept & is_target).sum(), (kept & ~is_target).sum()
        return 2 * tp / (2 * tp + fp + (is_target.sum() + missed - tp))

    chosen = event_f1_threshold(events, probs)
    scores = {threshold: f1(threshold) for threshold in np.unique(probs).tolist()}
    assert f1(chosen) == pytest.approx(max(scores.values()))
    assert chosen == min(t for t, value in scores.items() if value >= max(scores.values()) - 1e-12)


def test_events_are_summed_over_runs() -> None:
    events = Events(np.array([3, 1]), np.array([2, 0]), np.array([0, -1]), 5)
    thresholds, found, false = events_at(events, np.array([0.7, 0.2]))
    assert (thresholds.tolist(), found.tolist(), false.tolist()) == ([0.2, 0.7], [2, 2], [2, 1])


def test_without_a_call_there_is_no_event_threshold() -> None:
    assert event_f1_threshold(events_of(np.zeros(3, dtype=bool), missed=2), np.arange(3.0)) == 0.5
