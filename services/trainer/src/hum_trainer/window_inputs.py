"""Windows of recordings as spectrograms: cut, varied, and made into network input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hum_shared.audio import Samples
from hum_shared.model.background import HIGHEST, LOWEST, SCALE_DB
from hum_shared.model.front_end import FrontEnd, bin_frequencies
from hum_trainer import augmentation
from hum_trainer.augmentation import GAIN_DB, PITCH, SNR_DB, TIME, ratios, uniform
from hum_trainer.frame_backgrounds import with_added
from hum_trainer.spectrograms import n_frames
from hum_trainer.window_sampling import SampledWindows

_MIXED = 0.5  # share of the examples that get another background


class WindowCutter(Protocol):
    """Cuts windows out of recordings as levels in dB."""

    frames: int
    hz: Tensor

    def levels(self, windows: SampledWindows, *, wider: bool) -> tuple[Tensor, Tensor]:
        """Return levels (N, T, F), and which row is the centre of each window, (N,).

        T is `frames`, or more with `wider`, so that windows can be read faster.
        """

    def mixed(self, levels: Tensor, background: Tensor, below_db: Tensor, gain_db: Tensor) -> Tensor:
        """Return levels (N, frames, F) with another background, and another gain, where prediction could see these.

        Parameters
        ----------
        background
            Levels of windows without calls, (N, frames, F).
        below_db
            How far it is to lie below; infinity adds nothing; shape (N,).
        gain_db
            Shape (N,).
        """

    def inputs(self, levels: Tensor) -> Tensor:
        """Return network input (N, 1, frames, F) of levels (N, frames, F)."""


class AudioWindowCutter:
    """Cuts windows out of audio, at any sample, for the two normalisations of the original programs.

    Every window goes through the front end by itself, exactly as in prediction.

    Parameters
    ----------
    audio
        Of the recording of each stretch, at the front end's rate.
    front_end
        On the device that trains.
    window
        Samples of a window.
    """

    def __init__(self, audio: Sequence[Samples], front_end: FrontEnd, window: int) -> None:
        opts = front_end.opts
        self._audio, self._front_end, self._window = audio, front_end, window
        self.frames = n_frames(window, opts.n_fft, opts.hop_length)
        # A window shorter than n_fft is one padded frame, which cannot be stretched.
        rows = math.ceil((self.frames - 1) / 2 * (TIME[1] - 1)) if window >= opts.n_fft else 0
        self._more = rows * opts.hop_length
        self.hz = bin_frequencies(opts).to(front_end.window.device)

    def levels(self, windows: SampledWindows, *, wider: bool) -> tuple[Tensor, Tensor]:
        """See :class:`WindowCutter`."""
        opts, more = self._front_end.opts, self._more if wider else 0
        length = self._window + 2 * more
        cut = np.zeros((len(windows), length), dtype=np.float32)
        centre = np.empty(len(windows), dtype=np.float32)
        for row, (stretch, centre_s) in enumerate(
            zip(windows.stretch.tolist(), windows.centre_s.tolist(), strict=True)
        ):
            audio = self._audio[stretch]
            wanted = min(max(0, round(centre_s * opts.sr - self._window / 2)), max(0, len(audio) - self._window))
            start = min(max(0, wanted - more), max(0, len(audio) - length))
            part = audio[start : start + length]
            cut[row, : len(part)] = part
            centre[row] = (wanted - start) / opts.hop_length + (self.frames - 1) / 2
        front_end = self._front_end
        device = front_end.window.device
        power = front_end.power(torch.from_numpy(cut).to(device))
        return front_end.decibel(front_end.compress(power)), torch.from_numpy(centre).to(device)

    def mixed(self, levels: Tensor, background: Tensor, below_db: Tensor, gain_db: Tensor) -> Tensor:
        """See :class:`WindowCutter`; below the mean power of the window."""
        return augmentation.change_gain(augmentation.mix_background(levels, background, below_db), gain_db)

    def inputs(self, levels: Tensor) -> Tensor:
        """See :class:`WindowCutter`."""
        return self._front_end.normalise(levels)


class BackgroundWindowCutter:
    """Cuts windows out of background-normalised spectrograms, on their frame grid.

    Parameters
    ----------
    rows
        Normalised spectrogram of the recording of each stretch, (T, F), on the CPU: all of them may not fit on a GPU.
    front_end
        On the device that trains; says which frequencies the columns are.
    window
        Samples of a window.
    """

    def __init__(self, rows: Sequence[Tensor], front_end: FrontEnd, window: int) -> None:
        opts = front_end.opts
        self._rows, self._opts, self._window = rows, opts, window
        self.frames = max(1, window // opts.hop_length)
        self._more = math.ceil((self.frames - 1) / 2 * (TIME[1] - 1))
        self._device = front_end.window.device
        self.hz = bin_frequencies(opts).to(self._device)

    def levels(self, windows: SampledWindows, *, wider: bool) -> tuple[Tensor, Tensor]:
        """See :class:`WindowCutter`; 0 dB is the background."""
        more = self._more if wider else 0
        # The rows that prediction gives a window which starts there: hum_shared.model.scoring.window_inputs.
        starts = np.round(windows.centre_s * self._opts.sr - self._window / 2).astype(np.int64)
        first = (starts + self._opts.hop_length // 2) // self._opts.hop_length
        cut = []
        for stretch, row in zip(windows.stretch.tolist(), first.tolist(), strict=True):
            rows = self._rows[stretch]
            low = min(max(0, row), max(0, len(rows) - self.frames)) - more
            at = torch.arange(low, low + self.frames + 2 * more)
            cut.append(rows[at.clamp(0, len(rows) - 1)])
        levels = torch.stack(cut).to(self._device) * SCALE_DB
        return levels, torch.full((len(windows),), (self.frames - 1) / 2 + more, device=self._device)

    def mixed(self, levels: Tensor, background: Tensor, below_db: Tensor, gain_db: Tensor) -> Tensor:
        """See :class:`WindowCutter`; below the own background, and measured over both.

        A gain lifts a recording's background as it lifts the rest: prediction sees none.
        """
        k = 10 ** (-below_db[:, None, None] / 10)
        return SCALE_DB * with_added(levels / SCALE_DB, background / SCALE_DB, k)

    def inputs(self, levels: Tensor) -> Tensor:
        """See :class:`WindowCutter`."""
        return (levels / SCALE_DB).clamp(LOWEST, HIGHEST).unsqueeze(1)


def plain_inputs(cutter: WindowCutter, windows: SampledWindows) -> Tensor:
    """Return network input of windows as prediction sees them, (N, 1, T, F)."""
    return cutter.inputs(cutter.levels(windows, wider=False)[0])


def varied_inputs(
    cutter: WindowCutter, windows: SampledWindows, background: SampledWindows, rng: torch.Generator
) -> Tensor:
    """Return network input of windows with time, pitch, background, gain and masks varied, (N, 1, T, F).

    Parameters
    ----------
    background
        A window to mix in for each; about half of them are, and none that holds a part of a call.
    """
    n = len(windows)
    levels, centre = cutter.levels(windows, wider=True)
    device = levels.device
    levels = augmentation.stretch_time(levels, centre, ratios(n, TIME, rng).to(device), cutter.frames)
    levels = augmentation.shift_pitch(levels, cutter.hz, ratios(n, PITCH, rng).to(device))
    mixed = (torch.rand(n, generator=rng) < _MIXED) & ~torch.from_numpy(background.label)
    below_db = torch.where(mixed, uniform(n, SNR_DB, rng), math.inf).to(device)
    gain_db = uniform(n, GAIN_DB, rng).to(device)
    levels = cutter.mixed(levels, cutter.levels(background, wider=False)[0], below_db, gain_db)
    return cutter.inputs(augmentation.mask(levels, rng))
