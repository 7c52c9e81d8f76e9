import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.grid import window_grid

GOLDEN = Path(__file__).parents[1] / "golden" / "windows.json"

grids = st.tuples(
    st.integers(1, 10**6), st.sampled_from([8000, 16000, 44100, 48000]), st.integers(1, 2000), st.booleans()
)


def test_reported_times_are_the_original_programs() -> None:
    case = json.loads(GOLDEN.read_text())["alpaca48k"]
    rate = case["wav"]["sr"]
    grid = window_grid(case["wav"]["seconds"] * rate, rate, case["sequence_len"], case["hop"], score_tail=False)
    start_s, end_s = grid.times_s()
    assert start_s.tolist() == [window[0] for window in case["windows"]]
    assert end_s.tolist() == [window[1] for window in case["windows"]]


@given(grids, st.integers(1, 2000))
def test_windows_lie_in_the_recording_and_cover_all_that_whole_windows_can(
    grid_of: tuple[int, int, int, bool], hop_ms: int
) -> None:
    frames, rate, length_ms, tail = grid_of
    grid = window_grid(frames, rate, length_ms / 1000, min(hop_ms, length_ms) / 1000, tail)
    starts = grid.starts()
    assert starts.size == grid.n_windows >= 1
    assert starts[0] == 0
    assert np.all(np.diff(starts) > 0)
    assert starts[-1] == 0 or starts[-1] + grid.length <= frames
    assert grid.count == 1 or grid.count * grid.step + grid.length > frames  # one more would not fit
    if tail:
        assert frames <= grid.length or starts[-1] + grid.length == frames


@given(grids, st.integers(1, 2000), st.integers(0, 50), st.integers(0, 50))
def test_times_are_rounded_as_python_rounds(
    grid_of: tuple[int, int, int, bool], hop_ms: int, first: int, more: int
) -> None:
    frames, rate, length_ms, tail = grid_of
    grid = window_grid(frames, rate, length_ms / 1000, min(hop_ms, length_ms) / 1000, tail)
    start_s, end_s = grid.times_s(first, first + more)
    starts = grid.starts()[first : first + more].tolist()
    assert start_s.tolist() == [round(start / rate, 3) for start in starts]
    assert end_s.tolist() == [round(min(start + grid.length - 1, frames - 1) / rate, 3) for start in starts]


def test_halves_of_a_millisecond_are_rounded_as_python_rounds() -> None:
    grid = window_grid(160_000, 16_000, 0.0005, 0.0005, score_tail=False)
    start_s, _ = grid.times_s()
    assert start_s.tolist() == [round(i * 8 / 16_000, 3) for i in range(grid.count)]


def test_a_recording_shorter_than_a_window_is_one_window() -> None:
    grid = window_grid(100, 8000, 0.4, 0.1, score_tail=True)
    assert (grid.count, grid.tail, grid.n_windows) == (1, None, 1)
    assert grid.times_s()[1].tolist() == [round(99 / 8000, 3)]


def test_the_tail_is_aligned_to_the_end() -> None:
    grid = window_grid(1050, 1000, 0.4, 0.2, score_tail=True)
    assert grid.starts().tolist() == [0, 200, 400, 600, 650]
    assert window_grid(1000, 1000, 0.4, 0.2, score_tail=True).tail is None
    assert window_grid(1050, 1000, 0.4, 0.2, score_tail=False).tail is None


def test_products_are_rounded_up() -> None:
    grid = window_grid(10_000, 44_100, 0.0333, 0.0011, score_tail=False)
    assert (grid.length, grid.step) == (math.ceil(0.0333 * 44_100), math.ceil(0.0011 * 44_100))


@pytest.mark.parametrize(("frames", "length_s", "hop_s"), [(0, 0.4, 0.1), (100, 0.4, 0.5), (100, 0.4, 0.0)])
def test_no_windows(frames: int, length_s: float, hop_s: float) -> None:
    with pytest.raises(ValueError, match="no windows"):
        window_grid(frames, 8000, length_s, hop_s, score_tail=False)
