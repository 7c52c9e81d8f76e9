import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from hum_evaluator.ranking import average_precision, false_alarms_per_hour, psds, ranking
from hum_shared.intervals import as_intervals

CALLS = as_intervals([(1, 2), (5, 6), (9, 10), (20, 21)])


def ranked(detections, confidence, calls=CALLS):
    return ranking([(calls, as_intervals(detections), np.array(confidence, dtype=np.float64))], 0.4)


def test_detections_count_from_the_surest_down():
    found = ranked([(1, 2), (5, 6), (30, 31), (9, 10)], [0.9, 0.5, 0.8, 0.5])
    assert found.confidence.tolist() == [0.9, 0.8, 0.5]
    assert (found.tp.tolist(), found.fp.tolist()) == ([1, 1, 3], [0, 1, 1])
    assert found.recall.tolist() == [0.25, 0.25, 0.75]
    assert average_precision(found) == pytest.approx(0.25 * 1 + 0.5 * 0.75)


def test_two_detections_of_one_call_are_one_hit_and_the_surer_has_it():
    found = ranked([(1, 2), (1.1, 2)], [0.4, 0.6])
    assert (found.tp.tolist(), found.fp.tolist()) == ([1, 1], [0, 1])


def test_a_detection_over_two_calls_finds_one_and_leaves_the_other():
    found = ranked([(1, 2.9), (2, 3)], [0.6, 0.4], as_intervals([(1, 2), (2, 3)]))
    assert (found.tp.tolist(), found.fp.tolist()) == ([1, 2], [0, 0])


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30).filter(
        lambda rows: any(hit for hit, _ in rows)
    )
)
def test_average_precision_is_that_of_scikit_learn_when_all_calls_are_detected(rows):
    calls = as_intervals((10.0 * number, 10.0 * number + 1) for number, (hit, _) in enumerate(rows) if hit)
    detections = [(10.0 * number, 10.0 * number + 1) for number in range(len(rows))]
    found = ranked(detections, [score for _, score in rows], calls)
    expected = average_precision_score([hit for hit, _ in rows], [score for _, score in rows])
    assert average_precision(found) == pytest.approx(expected)


def test_false_alarms_are_counted_where_the_recall_is_first_reached():
    found = ranked([(1, 2), (30, 31), (5, 6), (40, 41), (9, 10), (20, 21), (50, 51)], [7, 6, 5, 4, 3, 2, 1])
    assert false_alarms_per_hour(found, hours=0.5) == 4.0  # all four calls are needed: 0.75 is below 0.8
    assert false_alarms_per_hour(found, hours=0.5, recall=0.5) == 2.0
    assert false_alarms_per_hour(ranked([(1, 2)], [1]), hours=1) is None


def test_the_area_is_the_mean_recall_up_to_the_most_false_alarms():
    found = ranked([(1, 2), (30, 31), (5, 6), (40, 41)], [4, 3, 2, 1])
    # Recall 1/4 below 1 false alarm per hour, 2/4 from there on.
    assert psds(found, hours=1.0, most=10) == pytest.approx((1 * 0.25 + 9 * 0.5) / 10)
    assert psds(ranked([], []), hours=1.0) == 0.0
    perfect = ranked([(1, 2), (5, 6), (9, 10), (20, 21)], [1, 1, 1, 1])
    assert psds(perfect, hours=1.0) == 1.0


def test_what_cannot_be_known_is_none():
    assert ranked([(1, 2)], [float("nan")]) is None
    nothing = ranked([(1, 2)], [1.0], as_intervals([]))
    assert average_precision(nothing) is None
    assert psds(nothing, hours=1.0) is None
    assert false_alarms_per_hour(nothing, hours=1.0) is None
    assert psds(ranked([(1, 2)], [1.0]), hours=0.0) is None
    assert average_precision(ranked([], [])) == 0.0


def test_tapes_are_ranked_together():
    tape = (CALLS, as_intervals([(1, 2)]), np.array([0.5]))
    found = ranking([tape, tape], 0.4)
    assert (found.n_calls, found.tp.tolist()) == (8, [2])
