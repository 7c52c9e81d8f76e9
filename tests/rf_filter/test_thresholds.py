"""The two threshold rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_rf_filter.thresholds import event_f1_threshold, f_beta_threshold, recall_first_threshold
from hum_rf_filter.training_data import Events

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 10).map(lambda n: n / 10)), min_size=1, max_size=30)


def counts(rows: list[tuple[bool, float]], threshold: float) -> tuple[int, int, int]:
    tp = sum(label and p >= threshold for label, p in rows)
    fp = sum(not label and p >= threshold for label, p in rows)
    return tp, fp, sum(label for label, _ in rows) - tp


def test_recall_first_takes_the_fewest_false_positives_that_keep_the_floor() -> None:
    labels, probs = [1, 1, 1, 1, 0, 0], [0.9, 0.8, 0.7, 0.2, 0.75, 0.1]
    assert recall_first_threshold(labels, probs, 0.75) == 0.7
    assert recall_first_threshold(labels, probs, 0.5) == 0.8
    assert recall_first_threshold(labels, probs, 1.0) == 0.2


def test_recall_first_ties_go_to_the_higher_threshold() -> None:
    # 0.6, 0.7 and 0.8 all keep half of the targets without a false positive.
    assert recall_first_threshold([1, 1, 1, 1, 0], [0.8, 0.8, 0.7, 0.6, 0.1], 0.5) == 0.8


def test_without_targets_both_rules_say_one_half() -> None:
    assert recall_first_threshold([0, 0], [0.1, 0.9], 0.9) == 0.5
    assert f_beta_threshold([0, 0], [0.1, 0.9], 1) == 0.5
    assert recall_first_threshold([], [], 0.9) == 0.5
    assert f_beta_threshold([], [], 1) == 0.5


def test_a_floor_that_nothing_reaches_gives_one_half() -> None:
    assert recall_first_threshold([1, 0], [0.9, 0.1], 1.01) == 0.5


def test_f_beta_weighs_recall_by_beta() -> None:
    labels, probs = [1, 1, 0, 0, 0], [0.9, 0.2, 0.5, 0.4, 0.3]
    assert f_beta_threshold(labels, probs, 0.5) == 0.9
    assert f_beta_threshold(labels, probs, 3) == 0.2


@given(ROWS, st.sampled_from([0.0, 0.5, 0.93, 1.0]))
def test_no_threshold_beats_the_recall_first_one(rows: list[tuple[bool, float]], floor: float) -> None:
    labels, probs = zip(*rows, strict=True)
    found = recall_first_threshold(labels, probs, floor)
    if not any(labels):
        assert found == 0.5
        return
    reaching = [t for t in set(probs) if counts(rows, t)[0] / sum(labels) >= floor]
    fewest = min(counts(rows, t)[1] for t in reaching)
    assert found == max(t for t in reaching if counts(rows, t)[1] == fewest)


@given(ROWS, st.sampled_from([0.5, 1.0, 1.25, 2.0]))
def test_no_threshold_beats_the_f_beta_one(rows: list[tuple[bool, float]], beta: float) -> None:
    labels, probs = zip(*rows, strict=True)
    found = f_beta_threshold(labels, probs, beta)
    if not any(labels):
        assert found == 0.5
        return

    def f_beta(threshold: float) -> float:
        tp, fp, fn = counts(rows, threshold)
        return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp)

    best = max(f_beta(t) for t in probs)
    assert found == max(t for t in probs if f_beta(t) == pytest.approx(best, abs=1e-12))


def events(matched: list[int], n_true: int) -> Events:
    calls = np.arange(len(matched))
    return Events(np.ones(len(matched), dtype=np.int64), np.array(matched), np.where(matched, calls, -1), n_true)


def test_event_f1_counts_the_calls_that_have_no_candidate() -> None:
    matched, probs = [1, 0, 1, 0], np.array([0.9, 0.8, 0.7, 0.1])
    assert event_f1_threshold(events(matched, 2), probs) == 0.7  # 2·2 / (3 + 2) beats 2·1 / (1 + 2)
    # The more calls nobody found, the less a false candidate costs.
    assert event_f1_threshold(events([1, 0, 0, 0, 1], 2), np.array([0.9, 0.8, 0.7, 0.6, 0.5])) == 0.9
    assert event_f1_threshold(events([1, 0, 0, 0, 1], 7), np.array([0.9, 0.8, 0.7, 0.6, 0.5])) == 0.5


def test_event_f1_ties_go_to_the_lower_threshold() -> None:
    # 2·1 / (1 + 3) = 2·2 / (5 + 3)
    assert event_f1_threshold(events([1, 0, 0, 0, 1], 3), np.array([0.9, 0.8, 0.7, 0.6, 0.5])) == 0.5


def test_event_f1_without_a_match_says_one_half() -> None:
    assert event_f1_threshold(events([0, 0], 3), np.array([0.9, 0.2])) == 0.5
