"""Background normalisation: each frequency bin's level above its own running median, on one fixed frame grid.

A running median of the log power follows wind, rain and hiss of a recording but not its calls, which are shorter
(the idea of spectral noise-floor tracking, Martin 2001, with the median in place of the minimum). The medians are
taken at knots, a tenth of the window apart, and joined by straight lines: the numbers do not depend on how the
recording is cut into blocks.

Digital silence, as where clips are padded or a recorder paused, is no background beside a stretch that was recorded:
half a window of it would lift everything around as far as the range reaches. Where nothing is heard but calls cut out
by a noise gate, it is: they would be their own background.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KNOTS_PER_WINDOW = 10
FRAMES_PER_MEDIAN = 1024
"""About how many frames a median is taken of, spread evenly over the window."""
SCALE_DB = 10.0
LOWEST, HIGHEST = -1.0, 5.0
"""Network input is the level above the background in units of `SCALE_DB`, clipped to this range."""


@dataclass(frozen=True)
class KnotGrid:
    """Where medians are taken, in frames.

    Attributes
    ----------
    spacing
        From knot to knot; knot k lies at frame ``k · spacing``.
    reach
        A knot's window is frames ``[k·spacing − reach, k·spacing + reach]``, clamped to the recording.
    stride
        Every how manyth frame (counted from frame 0) counts.
    """

    spacing: int
    reach: int
    stride: int


def knot_grid(window_s: float, frames_per_s: float) -> KnotGrid:
    """Return the knots of a median window of `window_s` seconds."""
    window = max(KNOTS_PER_WINDOW, round(window_s * frames_per_s))
    return KnotGrid(
        spacing=max(1, window // KNOTS_PER_WINDOW), reach=window // 2, stride=max(1, window // FRAMES_PER_MEDIAN)
    )


def subtract_background(
    levels: Iterable[Tensor], n_frames: int, grid: KnotGrid, silence_db: float = -math.inf
) -> Iterator[Tensor]:
    """Yield network input rows for blocks of level rows.

    Parameters
    ----------
    levels
        Blocks (t, F) of levels in dB, in order, together `n_frames` rows.
    n_frames
        At least 1.
    silence_db
        Frames of which no bin is above this count in no median whose window holds a stretch of others as long as from
        knot to knot; then only such stretches count.

    Yields
    ------
    Tensor
        Shape (t, F), consecutive, together `n_frames` rows; (level − background) / `SCALE_DB`, clipped to
        `LOWEST` … `HIGHEST`. Memory: one block and about one and a half windows.
    """
    kept = torch.empty(0)  # rows from frame `start` on
    start = done = 0
    knots: list[Tensor] = []  # medians of knots `first_knot`, `first_knot` + 1, …
    first_knot = 0
    last_knot = -(-(n_frames - 1) // grid.spacing)
    for block in levels:
        kept = torch.cat((kept, block)) if kept.numel() else block
        received = start + len(kept)
        while (k := first_knot + len(knots)) <= last_knot:
            position = min(k * grid.spacing, n_frames - 1)
            if received < min(position + grid.reach + 1, n_frames):
                break
            knots.append(_median(kept, start, position, n_frames, grid, silence_db))
        ready = n_frames if k > last_knot else min((k - 1) * grid.spacing + 1, received)
        if ready > done:
            yield _normalised(kept[done - start : ready - start], done, knots, first_knot, grid)
            done = ready
            passed = (done - 1) // grid.spacing - first_knot if done < n_frames else 0
            if passed > 0:
                knots, first_knot = knots[passed:], first_knot + passed
            keep_from = max(0, min(done, (first_knot + len(knots)) * grid.spacing - grid.reach))
            if keep_from > start:
                kept, start = kept[keep_from - start :].clone(), keep_from
    if done != n_frames:
        raise ValueError(f"expected {n_frames} frames, got {start + len(kept)}")


def _median(kept: Tensor, start: int, position: int, n_frames: int, grid: KnotGrid, silence_db: float) -> Tensor:
    low, high = max(0, position - grid.reach), min(n_frames, position + grid.reach + 1)
    first = -(-low // grid.stride) * grid.stride
    rows = kept[first - start : high - start : grid.stride]
    if len(rows) == 0:
        rows = kept[low - start : high - start]
    heard = (rows > silence_db).any(dim=1).numpy()
    if not heard.all():
        heard = _long_runs(heard, max(1, grid.spacing // grid.stride))
        rows = rows[torch.from_numpy(heard)] if heard.any() else rows
    # The lower of two middle values, as torch.median has it, in a fifth of its time.
    middle = (len(rows) - 1) // 2
    by_bin = np.array(rows.numpy().T, order="C")
    by_bin.partition(middle, axis=1)
    return torch.from_numpy(by_bin[:, middle].copy())


def _long_runs(inside: NDArray[np.bool_], shortest: int) -> NDArray[np.bool_]:
    """Return those true values that stand in runs of at least `shortest`; same shape (n,)."""
    ends = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    lengths = np.diff(ends)[::2]
    out = np.zeros(len(inside) + 1, dtype=np.int64)
    np.add.at(out, ends[::2], lengths >= shortest)
    np.add.at(out, ends[1::2], -(lengths >= shortest).astype(np.int64))
    return np.asarray(np.cumsum(out[:-1]) > 0)


def _normalised(rows: Tensor, first: int, knots: list[Tensor], first_knot: int, grid: KnotGrid) -> Tensor:
    at = torch.arange(first, first + len(rows))
    left = torch.div(at, grid.spacing, rounding_mode="floor")
    share = ((at - left * grid.spacing).to(rows.dtype) / grid.spacing)[:, None]
    medians = torch.stack(knots)
    index = left - first_knot
    low, high = medians[index], medians[(index + 1).clamp(max=len(knots) - 1)]
    return ((rows - (low + share * (high - low))) / SCALE_DB).clamp_(LOWEST, HIGHEST)
