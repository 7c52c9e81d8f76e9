"""The background-normalised spectrogram of a recording, computed once, block by block, on one fixed frame grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hum_shared.grid import FrameGrid
from hum_shared.model.background import knot_grid, subtract_background
from hum_shared.model.front_end import DataOpts, FrontEnd

BACKGROUND_VERSION = 2
"""Raised when the same recording gives other rows: 2 since digital silence is no background any more."""

_FRAMES_AT_A_TIME = 2048
_SILENT_DB = 0.001  # above the floor of levels: what a microphone hears is not


class SpectrogramStream:
    """Turns a recording's audio into rows of network input.

    Frame i is the STFT of the `n_fft` samples around the middle of samples ``[i·hop, (i + 1)·hop)``; the
    recording is continued with silence. Pre-emphasis, power, frequency compression and decibels are those of
    the model's front end.

    Parameters
    ----------
    opts
        Settings of the model file, with `background_s`.
    """

    def __init__(self, opts: DataOpts) -> None:
        if opts.background_s is None:
            raise ValueError("the settings name no background window")
        self.opts = opts
        self._front_end = FrontEnd(opts, min_max_norm=False).eval()
        self._knots = knot_grid(opts.background_s, opts.sr / opts.hop_length)

    def grid(self, frames: int) -> FrameGrid:
        """Return the frames of a recording of `frames` samples at the model's rate."""
        return FrameGrid(self.opts.hop_length, self.opts.sr, frames)

    def rows(self, blocks: Iterable[NDArray[np.float32]], frames: int) -> Iterator[Tensor]:
        """Yield blocks (t, F) of network input, consecutive, `grid(frames).n_rows` rows together.

        Parameters
        ----------
        blocks
            Mono audio at the model's rate, in order.
        frames
            Their length together, in samples.

        Raises
        ------
        ValueError
            When the blocks hold more or fewer samples.
        """
        n_rows = self.grid(frames).n_rows
        silence_db = self.opts.min_level_db + _SILENT_DB
        return subtract_background(self._levels(blocks, frames, n_rows), n_rows, self._knots, silence_db)

    def _levels(self, blocks: Iterable[NDArray[np.float32]], frames: int, n_rows: int) -> Iterator[Tensor]:
        hop, n_fft = self.opts.hop_length, self.opts.n_fft
        before = (n_fft - hop) // 2
        # One sample more in front of every slice: pre-emphasis keeps a slice's first sample as it is, and that
        # sample is cut off with the frame that the slice would start with.
        buffer = torch.zeros(max(before, 0) + 1)
        skip = max(-before, 0)  # hop longer than n_fft: frames leave gaps
        received = done = 0
        for block in blocks:
            received += len(block)
            buffer = torch.cat((buffer, torch.from_numpy(np.ascontiguousarray(block))))
            while (count := min(_FRAMES_AT_A_TIME, n_rows - done)) > 0:
                needed = skip + (count - 1) * hop + n_fft + 1
                if buffer.numel() < needed:
                    break
                yield self._slice(buffer, skip, count)
                buffer, done = buffer[count * hop :].clone(), done + count
        if received != frames:
            raise ValueError(f"expected {frames} samples of audio, got {received}")
        while (count := min(_FRAMES_AT_A_TIME, n_rows - done)) > 0:
            missing = skip + (count - 1) * hop + n_fft + 1 - buffer.numel()
            yield self._slice(nn.functional.pad(buffer, (0, max(missing, 0))), skip, count)
            buffer, done = buffer[count * hop :], done + count

    @torch.inference_mode()
    def _slice(self, buffer: Tensor, skip: int, count: int) -> Tensor:
        opts = self.opts
        audio = buffer[skip : skip + (count - 1) * opts.hop_length + opts.n_fft + 1]
        emphasised = audio[1:] - opts.preemphases * audio[:-1]
        power = self._front_end.power_of_emphasised(emphasised[None])
        return self._front_end.decibel(self._front_end.compress(power))[0]
