import numpy as np
import pytest
from scipy import stats

from hum_evaluator.metrics import outcome, pearson, pooled, run_row, tape_row
from hum_shared.intervals import as_intervals

CALLS = as_intervals([(1, 2), (5, 6), (9, 10)])
QUALITIES = [1, 1, 3]


def measured(detections, calls=CALLS, qualities=QUALITIES, matching="optimal"):
    return outcome(calls, qualities, as_intervals(detections), 0.4, matching)


def test_counts_rates_and_errors_of_a_tape():
    row = tape_row(measured([(1.1, 2.0), (5.0, 6.3), (20, 21), (30, 31)]))
    assert row == {
        "n_gt": 3,
        "n_pred": 4,
        "tp": 2,
        "fp": 2,
        "fn": 1,
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(4 / 7),
        "mean_dstart_ms": pytest.approx(50),
        "mean_dend_ms": pytest.approx(150),
        "recall_q1": 1.0,
        "recall_q2": None,
        "recall_q3": 0.0,
    }


@pytest.mark.parametrize("calls", [CALLS, as_intervals([])])
def test_nothing_found_is_zero_and_has_no_errors_in_time(calls):
    row = tape_row(measured([], calls, QUALITIES[: len(calls)]))
    assert (row["precision"], row["recall"], row["f1"]) == (0, 0, 0)
    assert (row["mean_dstart_ms"], row["mean_dend_ms"]) == (None, None)


def test_calls_without_quality_count_but_in_no_quality():
    row = tape_row(measured([(1, 2)], CALLS, [None, None, 7]))
    assert (row["tp"], row["fn"]) == (1, 2)
    assert (row["recall_q1"], row["recall_q2"], row["recall_q3"]) == (None, None, None)


@pytest.mark.parametrize("detections", [[(0.5, 1.5), (1, 4)], [(1, 4), (0.5, 1.5)]])
def test_greedy_ties_go_to_the_earlier_detection_in_any_order(detections):
    result = outcome(as_intervals([(1, 2)]), [None], as_intervals(detections), 0.3, "greedy")
    assert (result.dstart_ms.tolist(), result.dend_ms.tolist()) == ([500], [500])


def test_pooling_weighs_pairs_not_tapes():
    one, other = measured([(1.3, 2.0)]), measured([(1, 2), (5, 6), (9, 10)])
    row = tape_row(pooled([one, other]))
    assert (row["tp"], row["n_gt"], row["n_pred"]) == (4, 6, 4)
    assert row["mean_dstart_ms"] == pytest.approx(75)
    assert row["recall_q1"] == pytest.approx(3 / 4)


def test_no_tapes_are_a_row_of_zeros():
    row = run_row([])
    assert (row["n_gt"], row["n_pred"], row["f1"], row["pearson_calls"], row["spearman_calls"]) == (0, 0, 0, None, None)


def test_correlations_count_tapes_without_calls_or_detections():
    nothing = as_intervals([])
    tapes = [
        measured([(1, 2), (5, 6)]),
        measured([], nothing, []),
        measured([(1, 2)], nothing, []),
        measured([], CALLS[:2], QUALITIES[:2]),
    ]
    row = run_row(tapes)
    assert row["pearson_calls"] == pytest.approx(stats.pearsonr([3, 0, 0, 2], [2, 0, 1, 0]).statistic)
    assert row["spearman_calls"] == pytest.approx(stats.spearmanr([3, 0, 0, 2], [2, 0, 1, 0]).statistic)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0]), ([1], [2]), ([], [])])
def test_a_correlation_with_a_constant_is_undefined(x, y):
    assert pearson(x, y) is None


def test_pearson_is_that_of_scipy():
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 9, 20).tolist(), draw.integers(0, 9, 20).tolist()
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
