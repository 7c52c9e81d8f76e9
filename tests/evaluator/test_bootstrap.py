import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_evaluator.bootstrap import by_tape, difference, drawn, intervals95


def tapes(*counts):
    return {(f"t{number:02d}", 0): one for number, one in enumerate(counts)}


def test_tapes_are_drawn_and_blocks_where_there_are_few():
    assert drawn(tapes(*[(1, 1, 1)] * 5)) == "tape"
    few = {(f"t{tape}", block): (1, 2, 3) for tape in range(4) for block in range(10)}
    assert drawn(few) == "one-minute block"
    assert intervals95(few).by == "one-minute block"
    assert by_tape(few) == tapes_of(few, (10, 20, 30))


def test_tapes_without_calls_make_no_few_tapes_many():
    def found(tp, empty):
        calls = {(f"t{tape}", block): (tp, 1, 1) for tape in range(2) for block in range(9)}
        missed = {(f"t{tape}", 9): (0, 0, 1) for tape in range(2)}
        return {**calls, **missed, **tapes(*[(0, 0, 0)] * empty)}

    assert intervals95(found(1, empty=3)).by == "one-minute block"
    assert intervals95(found(1, empty=3)).f1[0] < 0.95 < intervals95(found(1, empty=3)).f1[1]
    assert difference(found(1, empty=10), found(0, empty=10)).by == "one-minute block"


def tapes_of(counts, sums):
    return {(tape, 0): sums for tape, _ in counts}


def test_equal_tapes_leave_no_doubt():
    found = intervals95(tapes(*[(6, 8, 10)] * 7))
    assert found.precision == pytest.approx((0.75, 0.75))
    assert found.recall == pytest.approx((0.6, 0.6))
    assert found.f1 == pytest.approx((12 / 18, 12 / 18))


def test_an_interval_holds_the_figure_and_is_wider_with_fewer_tapes():
    draw = np.random.default_rng(1)
    counts = [(int(tp), 20, 20) for tp in draw.integers(5, 20, 40)]
    many, few = intervals95(tapes(*counts)), intervals95(tapes(*counts[:6]))
    figure = sum(tp for tp, _, _ in counts) / 800
    assert many.f1[0] < figure < many.f1[1]
    assert few.f1[1] - few.f1[0] > many.f1[1] - many.f1[0]


def test_an_interval_is_as_wide_as_theory_has_it():
    # Tapes of one call each, half of them found: a share of n draws has a standard error of sqrt(p(1-p)/n).
    counts = tapes(*[(number % 2, 1, 1) for number in range(100)])
    low, high = intervals95(counts).recall
    assert (high - low) / (2 * 1.96) == pytest.approx(0.05, rel=0.1)


def test_empty_units_count_among_the_drawn():
    # One tape in five has two calls, another a false alarm: in a third of the draws each is missing.
    found = intervals95(tapes((1, 1, 2), (0, 1, 0), *[(0, 0, 0)] * 3))
    assert found.precision == (0.0, 1.0)
    assert found.f1[0] == 0.0  # the false alarm alone
    assert found.recall is None  # one tape alone says nothing about others


def test_draws_in_which_there_is_nothing_to_count_say_nothing():
    perfect, blind = (tapes(*[(tp, tp, 1)] * 2, *[(0, 0, 0)] * 8) for tp in (1, 0))
    assert intervals95(perfect).f1 == (1.0, 1.0)
    assert (difference(perfect, blind).low, difference(perfect, blind).high) == (1.0, 1.0)


@pytest.mark.parametrize("tape_with_calls", [[], [(1, 1, 1)]])
def test_one_tape_that_holds_anything_has_no_interval(tape_with_calls):
    counts = tapes(*tape_with_calls, *[(0, 0, 0)] * 9)
    found = intervals95(counts)
    assert (found.precision, found.recall, found.f1) == (None, None, None)
    pair = difference(counts, tapes(*[(0, 0, gt) for _, _, gt in tape_with_calls], *[(0, 0, 0)] * 9))
    assert (pair.delta, pair.low, pair.high) == (len(tape_with_calls), None, None)


def test_runs_counted_by_tape_and_by_block_are_paired_by_tape():
    blocks = {(str(tape), block): (1, 1, 1) for tape in range(5) for block in range(10)}
    whole = {(str(tape), 0): (10, 10, 10) for tape in range(5)}
    found = difference(whole, blocks)
    assert (found.delta, found.better, found.worse, found.by) == (0.0, 0, 0, "tape")


def test_without_calls_the_tape_with_fewer_false_alarms_is_the_better_one():
    quiet = tapes(*[(9, 10, 10)] * 5, *[(0, 0, 0)] * 4, (0, 3, 0))
    loud = tapes(*[(9, 10, 10)] * 5, *[(0, 50, 0)] * 5)
    assert difference(quiet, loud).verdict.startswith("better on 5 of 10 tapes, ΔF1 +0.")


def test_the_same_counts_give_the_same_interval():
    counts = tapes((1, 2, 3), (3, 3, 3), (0, 1, 1), (5, 6, 7), (2, 2, 9))
    assert intervals95(counts) == intervals95(dict(reversed(counts.items())))


def test_a_difference_has_a_verdict():
    worse = tapes(*[(10, 20, 20)] * 11, (15, 20, 20), (15, 20, 20))
    better = tapes(*[(14, 20, 20)] * 11, (12, 20, 20), (15, 20, 20))
    found = difference(better, worse)
    assert (found.better, found.worse, found.n_tapes, found.by) == (11, 1, 13, "tape")
    assert found.delta == pytest.approx((11 * 4 - 3) / (13 * 20))
    assert found.low < found.delta < found.high
    assert found.verdict.startswith("better on 11 of 13 tapes, ΔF1 +0.16 [0.")
    assert difference(worse, better).verdict.startswith("worse on 11 of 13 tapes, ΔF1 -0.16 [-0.")
    assert difference(worse, better).low == pytest.approx(-found.high)


def test_runs_that_find_the_same_are_equal():
    counts = tapes(*[(10, 20, 20)] * 6)
    assert difference(counts, counts).verdict == "equal on 6 of 6 tapes, ΔF1 +0.00 [0.00, 0.00]"


def test_where_neither_run_hits_anything_fewer_false_alarms_are_better():
    few, many = tapes(*[(0, 3, 10)] * 6), tapes(*[(0, 100, 10)] * 6)
    assert difference(few, many).verdict == "better on 6 of 6 tapes, ΔF1 +0.00 [0.00, 0.00]"


def test_pairing_sees_what_single_intervals_do_not():
    draw = np.random.default_rng(0)
    base = [int(tp) for tp in draw.integers(2, 18, 12)]
    one, other = (tapes(*[(tp + more, 20, 20) for tp in base]) for more in (1, 0))
    assert difference(one, other).low > 0
    assert intervals95(one).f1[0] < intervals95(other).f1[1]


def test_a_tape_that_only_one_run_has_counts_for_both():
    found = difference(tapes(*[(1, 1, 1)] * 6), tapes(*[(1, 1, 1)] * 5))
    assert (found.n_tapes, found.better, found.delta) == (6, 1, pytest.approx(1 - 10 / 11))


def test_on_a_tape_without_calls_that_only_one_run_has_neither_is_better():
    found = difference(tapes(*[(1, 1, 1)] * 5), tapes(*[(1, 1, 1)] * 5, (0, 3, 0)))
    assert (found.n_tapes, found.better, found.worse) == (5, 0, 0)


def test_tapes_without_anything_are_not_compared():
    counts = tapes((1, 1, 1), (0, 0, 0), (1, 1, 1), (0, 0, 0), (0, 0, 0))
    assert difference(counts, counts).n_tapes == 2


def test_one_block_alone_has_no_interval():
    one = {("t", 0): (5, 6, 7)}
    assert intervals95(one) is None
    found = difference(one, {("t", 0): (4, 6, 7)})
    assert (found.low, found.high) == (None, None)
    assert found.verdict == "better on 1 of 1 tapes, ΔF1 +0.15"


def test_nothing_has_no_interval():
    assert intervals95({}) is None
    assert difference({}, {}) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), min_size=5, max_size=9))
@settings(max_examples=25)
def test_intervals_lie_between_zero_and_one(rows):
    found = intervals95(tapes(*[(tp, tp + fp, tp + fn) for tp, fp, fn in rows]))
    for low, high in filter(None, (found.precision, found.recall, found.f1)):
        assert 0 <= low <= high <= 1
