from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_trainer.splits import PARTS, SHARES, split, split_by_stratum, split_by_tape

STRATEGIES = [
    "random",
    "quality_balanced",
    "clipwise_balanced",
    "quality_and_clipwise_balanced",
    "proportional_by_tape",
]

clips = st.lists(st.tuples(st.sampled_from(["Q1", "Q2", "Q3", "bg"]), st.sampled_from("abcde")), max_size=60)


def rng(seed=0):
    return np.random.default_rng(seed)


def run(strategy, clips, seed=0):
    labels = [label for label, _ in clips]
    classes = ["noise" if label == "bg" else "target" for label in labels]
    return split(strategy, classes, labels, [tape for _, tape in clips], rng(seed))


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(clips=clips)
def test_each_clip_gets_one_part_and_the_same_seed_the_same_parts(strategy, clips):
    parts = run(strategy, clips)
    assert len(parts) == len(clips)
    assert set(parts) <= set(PARTS)
    assert parts == run(strategy, clips)


@pytest.mark.parametrize("strategy", STRATEGIES[:-1])
@given(clips=clips)
def test_no_part_is_empty_with_three_clips_or_more(strategy, clips):
    assert len(set(run(strategy, clips))) == min(3, len(clips))


@pytest.mark.parametrize("strategy", STRATEGIES[:-1])
@given(clips=clips)
def test_the_whole_keeps_the_shares(strategy, clips):
    counts = Counter(run(strategy, clips))
    for part, share in zip(PARTS, SHARES, strict=True):
        # 2, not 1: the repair of an empty part may take one from another.
        assert abs(counts[part] - share * len(clips)) < 2


@given(strata=st.lists(st.tuples(st.sampled_from("abcd")), min_size=3, max_size=80), seed=st.integers(0, 99))
def test_each_stratum_keeps_the_shares(strata, seed):
    parts = split_by_stratum(strata, rng(seed))
    for stratum, size in Counter(strata).items():
        found = Counter(part for part, its in zip(parts, strata, strict=True) if its == stratum)
        for part, share in zip(PARTS, SHARES, strict=True):
            assert abs(found[part] - share * size) <= 2.5


def test_a_round_number_of_clips_is_split_exactly():
    assert Counter(run("random", [("Q1", "a")] * 150 + [("bg", "a")] * 50)) == {"train": 140, "val": 30, "test": 30}


def test_many_small_strata_do_not_all_go_to_train():
    strata = [(f"tape {number}", "target") for number in range(100)]
    assert Counter(split_by_stratum(strata, rng())) == {"train": 70, "val": 15, "test": 15}


def test_another_seed_gives_another_split():
    clips = [("Q1", "a")] * 40
    assert run("random", clips, seed=1) != run("random", clips, seed=2)


@given(clips=clips, seed=st.integers(0, 99))
def test_no_tape_stands_in_two_parts_and_no_part_is_empty_with_three_tapes(clips, seed):
    parts = run("proportional_by_tape", clips, seed)
    part_of = {tape: part for (_, tape), part in zip(clips, parts, strict=True)}
    assert all(part_of[tape] == part for (_, tape), part in zip(clips, parts, strict=True))
    assert len(set(parts)) == min(3, len(part_of))


def error(sizes, assigned):
    """Squared distance of the parts' sizes from the shares."""
    found = np.bincount(assigned, weights=sizes, minlength=3)
    return ((found - SHARES * sum(sizes)) ** 2).sum()


@given(sizes=st.lists(st.integers(1, 50), min_size=3, max_size=6), seed=st.integers(0, 9))
def test_whole_tapes_come_as_close_to_the_shares_as_any_assignment(sizes, seed):
    tapes = [name for name, size in zip("abcdef", sizes, strict=False) for _ in range(size)]
    parts = dict(zip(tapes, split_by_tape(tapes, rng(seed)), strict=True))
    found = error(sizes, [PARTS.index(parts[tape]) for tape in sorted(parts)])
    possible = (way for way in product(range(3), repeat=len(sizes)) if len(set(way)) == 3)
    assert found == pytest.approx(min(error(sizes, way) for way in possible))


@pytest.mark.parametrize("seed", range(5))
def test_shares_that_many_tapes_can_meet_exactly_are_met(seed):
    in_train, in_val, in_test = [23, 29, 31, 7, 5, 37, 3, 5], [17, 13], [19, 11]
    sizes = [*in_train, *in_val, *in_test]
    tapes = [f"tape {number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    assert Counter(split_by_tape(tapes, rng(seed))) == {"train": 140, "val": 30, "test": 30}


def test_one_tape_may_outweigh_all_others():
    tapes = ["long"] * 900 + [f"tape {number}" for number in range(10) for _ in range(10)]
    assert Counter(split_by_tape(tapes, rng(0))) == {"train": 900, "val": 50, "test": 50}


@given(sizes=st.lists(st.integers(20, 200), min_size=11, max_size=30), seed=st.integers(0, 9))
def test_many_tapes_come_close_to_the_shares(sizes, seed):
    tapes = [f"tape {number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    counts = Counter(split_by_tape(tapes, rng(seed)))
    for part, share in zip(PARTS, SHARES, strict=True):
        assert abs(counts[part] - share * len(tapes)) <= max(sizes)


@pytest.mark.parametrize("strategy", STRATEGIES[:-1])
@pytest.mark.parametrize(("n_target", "n_noise"), [(6, 18), (4, 4), (3, 60), (60, 3), (7, 7)])
@pytest.mark.parametrize("seed", range(10))
def test_no_part_lacks_a_class_that_has_three_clips(strategy, n_target, n_noise, seed):
    clips = [(f"Q{number % 3 + 1}", f"tape{number % 4}") for number in range(n_target)]
    clips += [("bg", f"tape{number % 4}") for number in range(n_noise)]
    found = {(label == "bg", part) for (label, _), part in zip(clips, run(strategy, clips, seed), strict=True)}
    assert found == set(product((False, True), PARTS))
