"""Folds of whole tapes, and of blocks of one tape."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.errors import InputError
from hum_shared.index import write_index
from hum_shared.intervals import as_intervals
from hum_trainer.folds import calls_per_tape, plan_folds, tape_folds
from hum_trainer.indexing import index_corpus
from hum_trainer.labelled_recordings import LabelledRecording, read_labelled_recordings
from support.corpora import make_corpus


def _indexed(root, **settings):
    make_corpus(root, raw=False, **settings)
    write_index(root / "corpus_index.json", index_corpus(root).index)


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 50), max_size=9),
    st.integers(2, 6),
    st.integers(0, 5),
)
def test_every_tape_stands_in_one_fold_and_every_fold_has_calls(calls, n_folds, seed):
    folds = tape_folds(calls, n_folds, seed)
    with_calls = sum(count > 0 for count in calls.values())
    assert len(folds) == (0 if with_calls < 2 else min(n_folds, with_calls))
    if folds:
        assert sorted(tape for fold in folds for tape in fold) == sorted(calls)
        sums = [sum(calls[tape] for tape in fold) for fold in folds]
        assert min(sums) > 0
        least = [min(calls[tape] for tape in fold if calls[tape]) for fold in folds]
        assert max(np.subtract(sums, least)) <= min(sums)  # the last tape went to the fold with the fewest calls
        assert tape_folds(dict(reversed(calls.items())), n_folds, seed) == folds
        silent = [sum(calls[tape] == 0 for tape in fold) for fold in folds]
        assert max(silent) - min(silent) <= 1


def test_folds_hold_as_many_calls_however_many_tapes_those_are():
    folds = tape_folds({"a": 9, "b": 3, "c": 3, "d": 2, "e": 1}, 2, seed=0)
    assert sorted(folds) == [("a",), ("b", "c", "d", "e")]


def test_the_seed_decides_which_fold_comes_first():
    calls = {"a": 5, "b": 4, "c": 3}
    assert len({tuple(tape_folds(calls, 3, seed)) for seed in range(10)}) > 1


def test_no_tape_is_in_both_parts_of_a_fold(tmp_path):
    _indexed(tmp_path)
    recordings = read_labelled_recordings(tmp_path / "corpus_index.json")
    folds = plan_folds(recordings, 5, seed=1)
    assert len(folds) == 3
    for fold in folds:
        train, val = ({part.recording.tape for part in parts} for parts in (fold.train, fold.val))
        assert (fold.kind, train & val, train | val) == ("tape", set(), set(calls_per_tape(recordings)))


def test_one_tape_is_split_into_blocks_that_cut_no_call(tmp_path):
    _indexed(tmp_path, tapes=("387_20201207_cut.wav",), hums_per_clip=20, clip_s=20.0)
    recordings = read_labelled_recordings(tmp_path / "corpus_index.json")
    folds = plan_folds(recordings, 4, seed=0)
    assert [fold.kind for fold in folds] == ["block"] * 4
    for fold in folds:
        assert sum(part.dur_s for part in (*fold.train, *fold.val)) == pytest.approx(40.0)
        assert sum(len(part.calls) for part in (*fold.train, *fold.val)) == 40
        for part in (*fold.train, *fold.val):
            assert np.all((part.calls[:, 0] >= part.start_s) & (part.calls[:, 1] <= part.end_s))


def _recording(name, dur_s, *calls):
    times = as_intervals(calls)
    return LabelledRecording(name, Path(name), "t.wav", dur_s, 8000, "d", times, (None,) * len(times))


@pytest.mark.parametrize(
    "recordings",
    [
        [_recording("calls in the first and the third quarter", 40.0, (1, 2), (21, 22))],
        [_recording("all calls at the beginning", 600.0, (1, 2), (3, 4), (5, 6))],
        [_recording("one", 10.0, (1, 2)), _recording("none", 10.0), _recording("another", 10.0, (1, 2))],
    ],
    ids=lambda recordings: recordings[0].name,
)
def test_every_stretch_of_one_tape_validates_one_network(recordings):
    folds = plan_folds(recordings, 4, seed=0)
    assert len(folds) >= 2
    assert all(
        len(np.concatenate([part.calls for part in parts])) for fold in folds for parts in (fold.train, fold.val)
    )
    for recording in recordings:
        spans = sorted((p.start_s, p.end_s) for fold in folds for p in fold.val if p.recording is recording)
        assert (spans[0][0], spans[-1][1]) == (0.0, recording.dur_s)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


def test_one_call_cannot_be_split(tmp_path):
    _indexed(tmp_path, tapes=("387_20201207_cut.wav",), hums_per_clip=1, clips_per_tape=1)
    with pytest.raises(InputError, match="1 calls on one tape cannot be split"):
        plan_folds(read_labelled_recordings(tmp_path / "corpus_index.json"), 4, seed=0)
