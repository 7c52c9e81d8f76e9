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
    """Training clips item by item: read, augment, crop and transform one clip whenever it is asked for."""

    def __init__(self, paths: list[Path], labels: list[int], opts: DataOpts, window: int) -> None:
        self.paths, self.labels, self.opts, self.window = paths, labels, opts, window
        self.bins = linear_bins(opts)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one input (1, T, F) and its label."""
        audio, _ = soundfile.read(self.paths[index], dtype="float32")
        missing = self.window - len(audio)
        if missing > 0:
            before = int(self.rng.integers(missing + 1))
            audio = np.pad(audio, (before, missing - before))
        start = int(self.rng.integers(len(audio) - self.window + 1))
        samples = torch.from_numpy(audio[start : start + self.window])
        samples = samples * 10 ** (self.rng.uniform(-6, 3) / 20)
        return plain_input(samples, self.opts, self.bins)[0], self.labels[index]
