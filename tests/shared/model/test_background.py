from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.model.background import HIGHEST, LOWEST, SCALE_DB, knot_grid, subtract_background


def cut(levels: torch.Tensor, edges: list[int]) -> list[torch.Tensor]:
    bounds = [0, *sorted(edges), len(levels)]
    return [levels[a:b] for a, b in itertools.pairwise(bounds) if b > a]


@given(
    n_frames=st.integers(1, 400),
    window_s=st.floats(0.05, 3),
    edges=st.lists(st.integers(0, 400), max_size=8),
)
def test_blocks_give_what_the_whole_gives(n_frames: int, window_s: float, edges: list[int]) -> None:
    levels = torch.from_numpy(np.random.default_rng(n_frames).normal(-60, 20, (n_frames, 3)).astype(np.float32))
    grid = knot_grid(window_s, 100)
    whole = torch.cat(list(subtract_background([levels], n_frames, grid)))
    blocks = torch.cat(list(subtract_background(cut(levels, [e for e in edges if e < n_frames]), n_frames, grid)))
    assert whole.shape == levels.shape
    assert torch.equal(whole, blocks)


def test_a_constant_background_becomes_nothing_and_a_call_its_height_over_it() -> None:
    levels = torch.full((1000, 2), -70.0)
    levels[500:510, 1] += 20
    rows = torch.cat(list(subtract_background([levels], 1000, knot_grid(3.0, 100))))
    assert torch.all(rows[:, 0] == 0)
    assert torch.all(rows[500:510, 1] == 20 / SCALE_DB)
    assert rows[:500].abs().max() == 0


def test_a_slowly_rising_background_is_followed() -> None:
    levels = torch.linspace(-80, -40, 2000)[:, None].repeat(1, 2)
    rows = torch.cat(list(subtract_background([levels], 2000, knot_grid(2.0, 100))))
    assert rows[150:-150].abs().max() < 0.02


def test_values_are_clipped() -> None:
    levels = torch.full((400, 1), -60.0)
    levels[7], levels[9] = 100.0, -200.0
    rows = torch.cat(list(subtract_background([levels], 400, knot_grid(1.0, 100))))
    assert rows[7] == HIGHEST
    assert rows[9] == LOWEST


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_digital_silence_is_no_background(share: float) -> None:
    levels = torch.from_numpy(np.random.default_rng(0).normal(-60, 3, (4000, 2)).astype(np.float32))
    silent = torch.arange(4000) % 2000 < 2000 * share
    levels[silent] = -150.0
    rows = torch.cat(list(subtract_background([levels], 4000, knot_grid(10.0, 100), silence_db=-149.9)))
    assert rows[~silent].mean().abs() < 0.05
    assert rows[silent].max() <= 0


def test_between_calls_that_a_gate_cut_out_digital_silence_is_the_background() -> None:
    levels = torch.full((4000, 2), -150.0)
    called = torch.arange(4000) % 300 < 80
    levels[called] = -40.0
    rows = torch.cat(list(subtract_background([levels], 4000, knot_grid(10.0, 100), silence_db=-149.9)))
    assert torch.all(rows[called] == HIGHEST)
    assert torch.all(rows[~called] == 0)


def test_nothing_but_digital_silence_is_its_own_background() -> None:
    levels = torch.full((100, 2), -150.0)
    rows = torch.cat(list(subtract_background([levels], 100, knot_grid(1.0, 100), silence_db=-149.9)))
    assert torch.all(rows == 0)


def test_missing_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected 10 frames, got 9"):
        list(subtract_background([torch.zeros(9, 2)], 10, knot_grid(1.0, 100)))
