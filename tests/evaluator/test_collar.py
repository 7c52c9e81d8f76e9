import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_evaluator.collar import collar_match
from hum_shared.intervals import as_intervals
from support.sed_eval_reference import collar_counts

NOTHING = as_intervals([])
few = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 30)).map(lambda one: (one[0] / 10, (one[0] + one[1]) / 10)),
    max_size=5,
).map(as_intervals)


def most_pairs_by_trying_all(calls, detections):
    def allowed(call, detection):
        collar_s = max(0.2, 0.2 * (call[1] - call[0]))
        return abs(call[0] - detection[0]) <= 0.2 + 1e-9 and abs(call[1] - detection[1]) <= collar_s + 1e-9

    small, large, flipped = (calls, detections, False) if len(calls) <= len(detections) else (detections, calls, True)
    best = 0
    for chosen in itertools.permutations(range(len(large)), len(small)):
        pairs = [(small[row], large[column]) for row, column in enumerate(chosen)]
        best = max(best, sum(allowed(*(reversed(pair) if flipped else pair)) for pair in pairs))
    return best


@given(few, few)
def test_as_many_pairs_as_can_be(calls, detections):
    i, j = collar_match(calls, detections)
    assert len(i) == most_pairs_by_trying_all(calls, detections)
    assert len(set(i.tolist())) == len(set(j.tolist())) == len(i)


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_sed_eval(seed):
    draw = np.random.default_rng(seed)
    starts = np.cumsum(draw.uniform(0.05, 1.5, 60))
    calls = np.column_stack((starts, starts + draw.uniform(0.05, 3.0, 60)))
    kept = draw.random(60) < 0.8
    detections = calls[kept] + draw.normal(0, 0.15, (kept.sum(), 2))
    detections = detections[detections[:, 1] > detections[:, 0]]
    extra = draw.uniform(0, 60, 15)
    detections = np.concatenate((detections, np.column_stack((extra, extra + 0.3))))
    assert (len(collar_match(calls, detections)[0]), len(detections), len(calls)) == collar_counts(calls, detections)


def test_short_calls_match_without_overlap_and_long_ones_have_a_wider_end():
    assert len(collar_match(as_intervals([(1.0, 1.05)]), as_intervals([(1.1, 1.2)]))[0]) == 1
    long = as_intervals([(1.0, 11.0)])
    assert len(collar_match(long, as_intervals([(1.2, 13.0)]))[0]) == 1
    assert len(collar_match(long, as_intervals([(1.21, 11.0)]))[0]) == 0
    assert len(collar_match(long, as_intervals([(1.0, 13.01)]))[0]) == 0


def test_nothing_meets_nothing():
    for calls, detections in ((NOTHING, NOTHING), (NOTHING, as_intervals([(0, 1)])), (as_intervals([(0, 1)]), NOTHING)):
        assert len(collar_match(calls, detections)[0]) == 0
