"""Tapes never stand on both sides of a split."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hum_rf_filter.grouping import downsample, folds, group_rows, held_out
from hum_shared.errors import InputError


def rows(per_tape: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, tapes and times of tapes with so many targets and noise rows each."""
    labels = np.concatenate([np.repeat([True, False], pair) for pair in per_tape]).astype(bool)
    tapes = np.repeat([f"tape {i}.wav" for i in range(len(per_tape))], [sum(pair) for pair in per_tape]).astype(object)
    return labels, tapes, np.concatenate([np.arange(sum(pair)) for pair in per_tape]).astype(float)


TAPES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), min_size=2, max_size=12)


@settings(deadline=None, max_examples=40)
@given(TAPES, st.integers(0, 5))
def test_folds_and_test_rows_share_no_tape(per_tape: list[tuple[int, int]], seed: int) -> None:
    labels, tapes, times = rows(per_tape)
    assume(all(sum(pair[kind] > 0 for pair in per_tape) >= 2 for kind in (0, 1)))
    assume(labels.sum() >= 2 and (~labels).sum() >= 2)
    groups = group_rows(labels, tapes, times)
    assert groups.kind == "tape"
    train, test = held_out(labels, groups, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert not set(tapes[train]) & set(tapes[test])
    judged = []
    for learn, judge in folds(labels[train], groups.ids[train], seed):
        assert not set(tapes[train][learn]) & set(tapes[train][judge])
        assert len(set(labels[train][learn])) == 2
        judged += judge.tolist()
    assert sorted(judged) == list(range(len(train)))


def test_two_tapes_give_two_folds_and_no_test() -> None:
    labels, tapes, times = rows([(5, 5), (5, 5)])
    groups = group_rows(labels, tapes, times)
    assert len(held_out(labels, groups, 0)[1]) == 0
    assert len(folds(labels, groups.ids, 0)) == 2


def test_ten_tapes_give_a_test_of_about_a_fifth() -> None:
    labels, tapes, times = rows([(5, 5)] * 10)
    _, test = held_out(labels, group_rows(labels, tapes, times), 0)
    assert len(set(tapes[test])) == 2


def test_one_tape_is_cut_into_blocks_of_time() -> None:
    labels = np.tile([True, False], 50)
    times = np.arange(100.0)
    groups = group_rows(labels, np.full(100, "a.wav", dtype=object), times)
    assert groups.kind == "time block"
    assert (np.diff(groups.ids) >= 0).all()
    assert len(set(groups.ids)) == 10
    assert len(folds(labels, groups.ids, 0)) == 5
    assert len(held_out(labels, groups, 0)[1]) == 0


def test_a_class_on_one_tape_only_also_needs_blocks_of_time() -> None:
    labels = np.array([True, False] * 10 + [False] * 10)
    tapes = np.repeat(["a.wav", "b.wav"], [20, 10]).astype(object)
    groups = group_rows(labels, tapes, np.arange(30.0))
    assert groups.kind == "time block"
    assert not set(groups.ids[:20]) & set(groups.ids[20:])


@pytest.mark.parametrize("labels", [[True] * 6, [False] * 6, [True] + [False] * 5])
def test_one_class_alone_is_an_error(labels: list[bool]) -> None:
    with pytest.raises(InputError, match="learns from both target and noise"):
        group_rows(np.array(labels), np.full(6, "a.wav", dtype=object), np.arange(6.0))


def test_downsampling_keeps_all_targets_and_counts_noise_tape_by_tape() -> None:
    labels, tapes, _ = rows([(2, 10), (3, 4), (0, 5)])
    kept = downsample(labels, tapes, 2, seed=0)
    per_tape = [
        (int(labels[kept][tapes[kept] == tape].sum()), int((~labels[kept][tapes[kept] == tape]).sum()))
        for tape in ("tape 0.wav", "tape 1.wav", "tape 2.wav")
    ]
    assert per_tape == [(2, 4), (3, 4), (0, 0)]
    assert (np.diff(kept) > 0).all()
    assert downsample(labels, tapes, 2, seed=0).tolist() == kept.tolist()


def test_downsampling_may_keep_any_noise_row() -> None:
    labels, tapes, _ = rows([(2, 10)])
    kept = {row for seed in range(20) for row in downsample(labels, tapes, 2, seed).tolist()}
    assert kept == set(range(12))


def test_without_a_ratio_nothing_is_left_out() -> None:
    labels, tapes, _ = rows([(2, 10)])
    assert len(downsample(labels, tapes, None, seed=0)) == 12
