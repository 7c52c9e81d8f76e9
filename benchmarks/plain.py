"""The plain ways to score and to train, written from the specification: one window, one clip at a time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hum_shared.model.front_end import DataOpts, linear_bins


def plain_input(audio: Tensor, opts: DataOpts, bins: Tensor) -> Tensor:
    """Return network input (1, 1, T, F) of one window of audio, linear compression, min-max normalisation."""
    emphasised = torch.cat((audio[:1], audio[1:] - opts.preemphases * audio[:-1]))
    window = torch.hann_window(opts.n_fft)
    spectrum = torch.stft(emphasised, opts.n_fft, opts.hop_length, window=window, center=False, return_complex=True)
    power = spectrum.abs().pow(2).T / window.pow(2).sum()
    level = 10 * torch.log10(power[:, bins].clamp(min=1e-10))
    return ((level - level.min()) / (level.max() - level.min()))[None, None]


def score_plainly(path: Path, network: nn.Module, opts: DataOpts, length_s: float, hop_s: float) -> NDArray[np.float32]:
    """Score a recording one window at a time: batch 1, one reader, the whole file in memory."""
    audio, rate = soundfile.read(path, dtype="float32")
    samples = torch.from_numpy(audio)
    bins = linear_bins(opts)
    length, step = math.ceil(length_s * rate), math.ceil(hop_s * rate)
    scores = []
    with torch.inference_mode():
        for index in range(max(math.ceil((len(samples) + 1 - length) / step), 1)):
            window = samples[index * step : index * step + length]
            scores.append(torch.softmax(network(plain_input(window, opts, bins)), 1)[0, 1].item())
    return np.array(scores, dtype=np.float32)


class PlainClips(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Training clips item by item: read, transform, augment and crop one clip whenever it is asked for.

    The augmentation is the recipe's: time, pitch, a noise clip mixed in, level.
    """

    def __init__(self, paths: list[Path], labels: list[int], noise: list[Path], opts: DataOpts, window: int) -> None:
        self.paths, self.labels, self.noise, self.opts, self.window = paths, labels, noise, opts, window
        self.bins = linear_bins(opts)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one input (1, T, F) and its label."""
        opts, rng = self.opts, self.rng
        frames = 1 + (self.window - opts.n_fft) // opts.hop_length
        power = self._stretched(self._power(self.paths[index]), rng.uniform(0.5, 2), rng.uniform(0.5, 1.5))
        power = self._cropped(power, frames)
        noise = self._cropped(self._power(self.noise[int(rng.integers(len(self.noise)))]), frames)
        power = power + noise * (power.mean() / noise.mean() / 10 ** (rng.uniform(-3, 12) / 10))
        power = power * 10 ** (rng.uniform(-6, 3) / 10)
        level = 10 * torch.log10(power[:, self.bins].clamp(min=1e-10))
        return ((level - level.min()) / (level.max() - level.min()))[None], self.labels[index]

    def _power(self, path: Path) -> Tensor:
        audio, _ = soundfile.read(path, dtype="float32")
        missing = self.window - len(audio)
        if missing > 0:
            before = int(self.rng.integers(missing + 1))
            audio = np.pad(audio, (before, missing - before))
        samples = torch.from_numpy(audio)
        emphasised = torch.cat((samples[:1], samples[1:] - self.opts.preemphases * samples[:-1]))
        window = torch.hann_window(self.opts.n_fft)
        spectrum = torch.stft(
            emphasised, self.opts.n_fft, self.opts.hop_length, window=window, center=False, return_complex=True
        )
        return spectrum.abs().pow(2).T / window.pow(2).sum()

    def _stretched(self, power: Tensor, rate: float, factor: float) -> Tensor:
        rows, bins = power.shape
        size = (max(1, round(rows / rate)), max(1, round(bins * factor)))
        stretched = nn.functional.interpolate(power[None, None], size=size, mode="bilinear")[0, 0]
        return nn.functional.pad(stretched, (0, max(0, bins - size[1])))[:, :bins]

    def _cropped(self, power: Tensor, frames: int) -> Tensor:
        if len(power) < frames:
            return nn.functional.pad(power, (0, 0, 0, frames - len(power)))
        start = int(self.rng.integers(len(power) - frames + 1))
        return power[start : start + frames]
