import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.intervals import as_intervals, best_iou, gaps, iou_pairs, merged, overlapping_pairs

MILLISECONDS = 40
intervals = st.lists(
    st.tuples(st.integers(0, MILLISECONDS), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=8,
).map(as_intervals)


def covered(rows):
    """Unit steps [k, k + 1) that some interval covers."""
    return {step for start, end in rows for step in range(int(start), int(end))}


def test_no_intervals_have_two_columns():
    assert as_intervals([]).shape == merged(as_intervals([])).shape == (0, 2)


@given(intervals)
def test_merged_covers_the_same_time_without_touching(rows):
    union = merged(rows)
    assert covered(union) == covered(rows)
    assert np.all(union[1:, 0] > union[:-1, 1])


def test_merged_joins_what_touches():
    assert merged(as_intervals([(1, 2), (0, 1)])).tolist() == [[0, 2]]


@given(intervals, st.integers(0, 25), st.integers(0, 25))
def test_gaps_are_what_is_left(rows, start, length):
    free = gaps(rows, start, start + length)
    assert covered(free) == set(range(start, start + length)) - covered(rows)
    assert np.all(free[:, 1] > free[:, 0])
    assert np.all(free[1:, 0] >= free[:-1, 1])


def test_gaps_without_intervals_are_the_whole_span():
    assert gaps(as_intervals([]), 2, 5).tolist() == [[2, 5]]


@given(intervals, intervals)
def test_overlapping_pairs_are_those_that_share_time(a, b):
    i, j, overlap = overlapping_pairs(a, b)
    found = sorted(zip(i.tolist(), j.tolist(), overlap.tolist(), strict=True))
    expected = [
        (row, column, min(a[row, 1], b[column, 1]) - max(a[row, 0], b[column, 0]))
        for row in range(len(a))
        for column in range(len(b))
        if min(a[row, 1], b[column, 1]) > max(a[row, 0], b[column, 0])
    ]
    assert found == expected
    assert np.all(np.diff(i) >= 0)


@given(intervals, intervals)
def test_iou_is_shared_time_over_covered_time(a, b):
    for row, column, iou in zip(*iou_pairs(a, b), strict=True):
        one, other = covered([a[row]]), covered([b[column]])
        assert iou == pytest.approx(len(one & other) / len(one | other))


@given(intervals, intervals)
def test_best_iou_is_the_largest_and_zero_without_overlap(a, b):
    best = best_iou(a, b)
    i, _, iou = iou_pairs(a, b)
    assert best.tolist() == [max(iou[i == row], default=0.0) for row in range(len(a))]
