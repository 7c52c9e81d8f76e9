from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hum_shared.grid import window_grid
from hum_shared.model.scoring import window_inputs


@example(frames=250, length_s=0.125, hop_share=1.0, hop=2, batch=1, block=1)  # a row between two windows
@given(
    frames=st.integers(1, 3000),
    length_s=st.floats(0.01, 1),
    hop_share=st.floats(0.05, 1),
    hop=st.integers(1, 90),
    batch=st.integers(1, 7),
    block=st.integers(1, 40),
)
def test_windows_are_cut_where_they_lie(
    frames: int, length_s: float, hop_share: float, hop: int, batch: int, block: int
) -> None:
    grid = window_grid(frames, 1000, length_s, length_s * hop_share, score_tail=True)
    n_rows = -(-frames // hop)
    rows = torch.arange(n_rows, dtype=torch.float32)[:, None].repeat(1, 2)
    parts = list(window_inputs(rows.split(block), grid, hop, batch))
    assert [first for first, _ in parts] == list(range(0, grid.n_windows, batch))
    inputs = torch.cat([part for _, part in parts])
    span = min(max(1, grid.length // hop), n_rows)
    assert inputs.shape == (grid.n_windows, 1, span, 2)
    first_rows = inputs[:, 0, 0, 0].numpy()
    assert np.all(np.diff(inputs[:, 0, :, 0].numpy(), axis=1) == 1)
    wanted = np.minimum(np.floor(grid.starts() / hop + 0.5), n_rows - span)
    assert np.array_equal(first_rows, wanted)
