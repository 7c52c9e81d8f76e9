"""The grids over a recording, windows and frames, in exact samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowGrid:
    """Where windows lie: window i covers samples ``[i·step, min(i·step + length, frames))``.

    Attributes
    ----------
    step, length
        Samples from window to window, and per window.
    sample_rate
        Hz, the model's.
    frames
        Samples of the recording at that rate.
    count
        How many windows lie on the grid.
    tail
        Start of one more window that is aligned to the end; None without one.
    """

    step: int
    length: int
    sample_rate: int
    frames: int
    count: int
    tail: int | None

    @property
    def n_windows(self) -> int:
        """All windows, with the tail."""
        return self.count + (self.tail is not None)

    def as_meta(self) -> dict[str, Any]:
        """Return the fields of a score track's metadata that describe its rows."""
        return {"kind": "window", "step": self.step, "length": self.length, "n_rows": self.n_windows, "tail": self.tail}

    def starts(self, first: int = 0, stop: int | None = None) -> NDArray[np.int64]:
        """Return the first sample of windows `first` to `stop` (all by default)."""
        stop = self.n_windows if stop is None else min(stop, self.n_windows)
        starts = np.arange(first, stop, dtype=np.int64) * self.step
        if self.tail is not None and first <= self.count < stop:
            starts[-1] = self.tail
        return starts

    def times_s(self, first: int = 0, stop: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return reported start and end of windows `first` to `stop`, in seconds rounded to 3 decimals.

        The end is that of the window's last sample: ``min(i·step + length − 1, frames − 1)``.
        """
        starts = self.starts(first, stop)
        ends = np.minimum(starts + self.length - 1, self.frames - 1)
        return _rounded(starts / self.sample_rate), _rounded(ends / self.sample_rate)


def window_grid(frames: int, sample_rate: int, sequence_len_s: float, hop_s: float, score_tail: bool) -> WindowGrid:
    """Return the windows of a recording (spec/model-and-scores.md, "Windows").

    Parameters
    ----------
    frames
        Samples of the recording at `sample_rate`; at least 1.
    sequence_len_s, hop_s
        Window and step in seconds; their products with the rate are rounded up, as plain float64.
    score_tail
        Add one window aligned to the end when the grid leaves samples there unscored.

    Raises
    ------
    ValueError
        When there are no samples, or the hop is not in (0, sequence_len_s].
    """
    if frames < 1 or not 0 < hop_s <= sequence_len_s:
        raise ValueError(f"no windows: {frames} samples, window {sequence_len_s} s, hop {hop_s} s")
    length, step = math.ceil(sequence_len_s * sample_rate), math.ceil(hop_s * sample_rate)
    count = max(math.ceil((frames + 1 - length) / step), 1)
    covered = (count - 1) * step + length
    tail = frames - length if score_tail and covered < frames else None
    return WindowGrid(step, length, sample_rate, frames, count, tail)


@dataclass(frozen=True)
class FrameGrid:
    """Where frames lie: frame i covers samples ``[i·step, min((i + 1)·step, frames))``, edge to edge.

    Attributes
    ----------
    step
        Samples per frame.
    sample_rate
        Hz, the model's.
    frames
        Samples of the recording at that rate; at least 1.
    """

    step: int
    sample_rate: int
    frames: int

    @property
    def n_rows(self) -> int:
        """How many frames; the last may reach beyond the end."""
        return -(-self.frames // self.step)

    def as_meta(self) -> dict[str, Any]:
        """Return the fields of a score track's metadata that describe its rows."""
        return {"kind": "frame", "step": self.step, "length": self.step, "n_rows": self.n_rows, "tail": None}

    def times_s(self, first: int = 0, stop: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return start and end of frames `first` to `stop` (all by default) in seconds, not rounded."""
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        starts = np.arange(first, stop, dtype=np.int64) * self.step
        return starts / self.sample_rate, np.minimum(starts + self.step, self.frames) / self.sample_rate


def _rounded(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    # Python's round is exact in decimal, np.round is not; they part at halves of a millisecond.
    if seconds.size and np.all(np.abs(np.modf(seconds * 1000)[0] - 0.5) > 1e-6):
        return np.round(seconds, 3)
    return np.array([round(value, 3) for value in seconds.tolist()], dtype=np.float64)
