"""Windows of an epoch: where they lie and what they are called."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_shared.intervals import as_intervals
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.window_sampling import WindowSampler


def _recording(name, dur_s, calls, tape=None):
    return LabelledRecording(
        name, Path(name), tape or name, dur_s, 8000, name, as_intervals(calls), (None,) * len(calls)
    )


TWO = [
    Stretch(_recording("a.wav", 20.0, [(2, 3), (8, 8.4)]), 0.0, 20.0),
    Stretch(_recording("b.wav", 30.0, [(1, 2), (20, 25)]), 10.0, 30.0),
]


@st.composite
def stretches(draw):
    out = []
    for number in range(draw(st.integers(1, 4))):
        edges = sorted(draw(st.lists(st.integers(0, 400), min_size=2, max_size=12, unique=True)))
        calls = [(a / 10, b / 10) for a, b in zip(edges[::2], edges[1::2], strict=False)]
        start = draw(st.sampled_from([0.0, calls[0][0]]))
        out.append(Stretch(_recording(f"{number}.wav", 41.0, calls), start, 41.0))
    return out


@settings(max_examples=40)
@given(stretches(), st.floats(0.05, 1.0), st.integers(0, 3))
def test_windows_lie_in_their_stretch_and_labels_say_whether_the_centre_is_in_a_call(parts, window_s, seed):
    sampler = WindowSampler(parts, window_s)
    drawn = sampler.epoch(100, np.random.default_rng(seed), [(0, parts[0].end_s - 0.5, parts[0].end_s)])
    assert len(drawn) == 100
    for index, centre_s, label in zip(drawn.stretch, drawn.centre_s, drawn.label, strict=True):
        part = parts[index]
        assert part.start_s - 1e-9 <= centre_s - window_s / 2
        assert centre_s + window_s / 2 <= part.end_s + 1e-9
        assert label == any(start <= centre_s < end for start, end in part.recording.calls)


def test_half_lie_around_calls_at_edges_inside_and_outside():
    drawn = WindowSampler(TWO[:1], 0.4).epoch(4000, np.random.default_rng(0))
    calls = TWO[0].calls
    nearest = np.abs(drawn.centre_s[:, None] - calls.ravel()).min(axis=1)
    # Calls and their surroundings are a tenth of the recording.
    assert 0.5 < np.mean((nearest < 0.4) | drawn.label) < 0.65
    assert 0.2 < drawn.label.mean() < 0.4
    assert np.mean(nearest < 0.1) > 0.2


def test_the_same_seed_gives_the_same_windows_and_every_epoch_is_fresh():
    sampler = WindowSampler(TWO, 0.2)
    first, again, other = (sampler.epoch(50, np.random.default_rng([1, epoch])) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first.centre_s, again.centre_s)
    assert not np.isin(first.centre_s, other.centre_s).any()


@pytest.mark.parametrize(("n_negatives", "share"), [(1, 0.5 / 3), (2, 0.25), (5, 0.25)])
def test_a_hard_negative_is_shown_as_often_as_a_call_at_most(n_negatives, share):
    sampler = WindowSampler(TWO, 0.2)
    assert sampler.n_calls == 3
    negatives = [(0, 15.0 + number / 2, 15.2 + number / 2) for number in range(n_negatives)]
    drawn = sampler.epoch(4000, np.random.default_rng(0), negatives)
    hard = np.zeros(4000, dtype=bool)
    for _, start_s, end_s in negatives:
        hard |= (drawn.stretch == 0) & (drawn.centre_s >= start_s) & (drawn.centre_s <= end_s)
    assert hard.mean() == pytest.approx(share, abs=0.025)
    assert not drawn.label[hard].any()


def test_backgrounds_hold_no_call_and_come_from_another_tape():
    sampler = WindowSampler(TWO, 0.5)
    background = sampler.background(np.array([0, 1] * 200), np.random.default_rng(0))
    assert background.stretch.tolist() == [1, 0] * 200
    for index, centre_s in zip(background.stretch, background.centre_s, strict=True):
        calls = TWO[index].recording.calls
        assert np.all((calls[:, 1] <= centre_s - 0.25 + 1e-9) | (calls[:, 0] >= centre_s + 0.25 - 1e-9))


def test_with_one_tape_backgrounds_come_from_it():
    sampler = WindowSampler(TWO[:1], 0.5)
    assert set(sampler.background(np.zeros(9, dtype=np.int64), np.random.default_rng(0)).stretch) == {0}


def test_calls_without_room_are_never_called_background():
    full = Stretch(_recording("full.wav", 5.0, [(0, 5)]), 0.0, 5.0)
    background = WindowSampler([full], 0.5).background(np.zeros(9, dtype=np.int64), np.random.default_rng(0))
    assert background.label.all()


def test_stretches_shorter_than_a_window_are_left_out():
    short = Stretch(_recording("short.wav", 0.1, [(0, 0.1)]), 0.0, 0.1)
    drawn = WindowSampler([short, TWO[0]], 0.2).epoch(200, np.random.default_rng(0))
    assert set(drawn.stretch) == {1}
    with pytest.raises(ValueError, match=r"no stretch with a call is as long as a window of 0.2 s"):
        WindowSampler([short], 0.2)


def test_a_background_that_holds_a_part_of_a_call_is_called_one():
    # A call in every half second: each window of 0.5 s holds a part of one, few centres lie in one.
    busy = Stretch(_recording("busy.wav", 20.0, [(at / 2, at / 2 + 0.02) for at in range(40)]), 0.0, 20.0)
    assert WindowSampler([busy], 0.5).background(np.zeros(50, dtype=np.int64), np.random.default_rng(0)).label.all()


def test_negatives_in_stretches_shorter_than_a_window_are_left_out():
    short = Stretch(_recording("short.wav", 0.3, [(0, 0.06)]), 0.0, 0.3)
    drawn = WindowSampler([*TWO, short], 0.5).epoch(400, np.random.default_rng(0), [(2, 0.18, 0.28)])
    assert set(drawn.stretch) == {0, 1}
