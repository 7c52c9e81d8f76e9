import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.intervals import as_intervals, iou_pairs
from hum_shared.matching import match

few_intervals = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=5
).map(as_intervals)
thresholds = st.sampled_from([0.01, 0.2, 0.4, 0.5, 1.0])


def iou_table(truth, predicted):
    table = np.zeros((len(truth), len(predicted)))
    i, j, iou = iou_pairs(truth, predicted)
    table[i, j] = iou
    return table


def best_by_trying_all(table, min_iou):
    """Most pairs, and among those the largest sum of IoU, over all one-to-one assignments."""
    if table.shape[0] > table.shape[1]:
        table = table.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(table.shape[1]), table.shape[0]):
        values = [table[row, column] for row, column in enumerate(columns) if table[row, column] >= min_iou - 1e-9]
        best = max(best, (len(values), sum(values)))
    return best


def greedy_by_the_book(truth, predicted, min_iou):
    table = iou_table(truth, predicted)
    free = set(range(len(predicted)))
    pairs = []
    for row in sorted(range(len(truth)), key=lambda row: (truth[row, 0], row)):
        candidates = [column for column in free if table[row, column] >= min_iou - 1e-9]
        if candidates:
            column = max(candidates, key=lambda column: (table[row, column], -column))
            free.remove(column)
            pairs.append((row, column))
    return sorted(pairs)


@given(few_intervals, few_intervals, thresholds)
def test_optimal_finds_most_pairs_and_then_most_overlap(truth, predicted, min_iou):
    table = iou_table(truth, predicted)
    i, j = match(truth, predicted, min_iou)
    n_pairs, total = best_by_trying_all(table, min_iou)
    assert len(i) == n_pairs
    assert table[i, j].sum() == pytest.approx(total)


@given(few_intervals, few_intervals, thresholds)
def test_greedy_takes_the_best_free_prediction_in_time_order(truth, predicted, min_iou):
    i, j = match(truth, predicted, min_iou, "greedy")
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == greedy_by_the_book(truth, predicted, min_iou)


@given(few_intervals, few_intervals, thresholds, st.sampled_from(["optimal", "greedy"]))
def test_a_match_is_one_to_one_and_reaches_the_threshold(truth, predicted, min_iou, matching):
    i, j = match(truth, predicted, min_iou, matching)
    assert len(set(i.tolist())) == len(set(j.tolist())) == len(i)
    assert np.all(iou_table(truth, predicted)[i, j] >= min_iou - 1e-9)
    assert np.all(np.diff(i) > 0)


def test_optimal_does_not_give_away_a_pair_for_a_better_one():
    truth, predicted = as_intervals([(0, 10), (4, 14)]), as_intervals([(3, 12), (0, 5)])
    assert len(match(truth, predicted, 0.4)[0]) == 2
    assert len(match(truth, predicted, 0.4, "greedy")[0]) == 1


def test_two_fair_pairs_are_better_than_one_perfect_pair():
    truth, predicted = as_intervals([(0, 10), (0, 25)]), as_intervals([(0, 10), (6, 10)])
    i, j = match(truth, predicted, 0.4)
    assert (i.tolist(), j.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize("matching", ["optimal", "greedy"])
@pytest.mark.parametrize("at_s", [0.0, 20.0, 86_400.0])
def test_an_iou_at_the_threshold_counts_wherever_it_lies(matching, at_s):
    truth, predicted = as_intervals([(at_s, at_s + 1)]), as_intervals([(at_s + 0.6, at_s + 1)])
    assert len(match(truth, predicted, 0.4, matching)[0]) == 1


@pytest.mark.parametrize("matching", ["optimal", "greedy"])
def test_nothing_to_match_gives_no_pairs(matching):
    some, none = as_intervals([(0, 1)]), as_intervals([])
    for truth, predicted in ((some, none), (none, some), (none, none)):
        i, j = match(truth, predicted, 0.4, matching)
        assert i.shape == j.shape == (0,)
        assert i.dtype == j.dtype == np.int64
