"""Batches of network input, assembled and augmented as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hum_shared.model.front_end import FrontEnd
from hum_trainer.spectrograms import SpectrogramStore

LEVEL_DB = (-6.0, 3.0)
PITCH = (0.5, 1.5)
TIME = (0.5, 2.0)
NOISE_SNR_DB = (-3.0, 12.0)

HIGHEST_PITCH_SOURCE = 1 / PITCH[0]
"""How far above the highest bin of the input augmentation may look."""


@dataclass(frozen=True)
class BatchMaker:
    """Cuts windows out of a store and turns them into network input.

    Attributes
    ----------
    frames
        STFT frames of a window.
    noise
        Spectrograms to mix in when augmenting; None for none.
    augment
        Vary level, pitch and time, and mix in noise; positions are random in any case.
    """

    store: SpectrogramStore
    front_end: FrontEnd
    frames: int
    noise: SpectrogramStore | None
    augment: bool

    def random(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        """Return windows at random positions of `clips` (indices, shape (N,)), as input (N, 1, T, F)."""
        n, device = len(clips), self.front_end.window.device
        rate = _uniform(n, TIME, rng, log=True) if self.augment else torch.ones(n)
        power = _cut(self.store, clips, self.frames, rate, rng).to(device)
        if self.augment:
            power = shift_pitch(power, _uniform(n, PITCH, rng).to(device))
            if self.noise is not None:
                chosen = torch.randint(len(self.noise.clips), (n,), generator=rng)
                noise = _cut(self.noise, chosen, self.frames, torch.ones(n), rng).to(device)
                power = mix(power, noise, _uniform(n, NOISE_SNR_DB, rng).to(device))
            power = power * 10 ** (_uniform(n, LEVEL_DB, rng).to(device)[:, None, None] / 10)
        return self._input(power)

    def centred(self, clips: Tensor) -> Tensor:
        """Return the stored windows of `clips`, as input (N, 1, T, F)."""
        rows = self.store.first[clips][:, None] + torch.arange(self.frames)
        return self._input(self.store.power[rows].to(self.front_end.window.device))

    def _input(self, power: Tensor) -> Tensor:
        front_end = self.front_end
        compressed = front_end.compress(front_end.select_bins(power))
        return front_end.normalise(front_end.decibel(compressed))


def shuffled(n_clips: int, batch_size: int, rng: torch.Generator) -> list[Tensor]:
    """Return the batches of one epoch: indices of all clips in random order.

    A last batch of one clip joins the batch before it: batch normalisation cannot train on one alone.
    """
    order = torch.randperm(n_clips, generator=rng)
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def in_order(n_clips: int, batch_size: int) -> Iterator[Tensor]:
    """Yield the indices of all clips in order."""
    yield from torch.split(torch.arange(n_clips), batch_size)


def shift_pitch(power: Tensor, factor: Tensor) -> Tensor:
    """Scale the frequency axis: output bin b is source bin b / factor, linearly interpolated.

    Parameters
    ----------
    power
        Shape (N, T, bins).
    factor
        Shape (N,); 2 is an octave up. What would come from above the last bin is 0.
    """
    bins = power.shape[2]
    source = torch.arange(bins, device=power.device) / factor[:, None]
    low = source.floor()
    share = (source - low)[:, None, :]
    low = low.long()
    inside = (low < bins)[:, None, :]

    def take(index: Tensor) -> Tensor:
        return power.gather(2, index.clamp(max=bins - 1)[:, None, :].expand(-1, power.shape[1], -1))

    return ((1 - share) * take(low) + share * take(low + 1)) * inside


def mix(power: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise at a signal-to-noise ratio of mean powers; silent noise or signal is left as it is.

    Parameters
    ----------
    power, noise
        Shape (N, T, bins).
    snr_db
        Shape (N,).
    """
    wanted = power.mean((1, 2)) / 10 ** (snr_db / 10)
    present = noise.mean((1, 2))
    scale = torch.where(present > 0, wanted / present.clamp(min=torch.finfo(power.dtype).tiny), 0.0)
    return power + scale[:, None, None] * noise


def _cut(store: SpectrogramStore, clips: Tensor, frames: int, rate: Tensor, rng: torch.Generator) -> Tensor:
    """Return `frames` rows of each clip from a random start, read `rate` times as fast; behind the end is 0."""
    available = store.frames[clips]
    span = ((frames - 1) * rate).ceil().long() + 1
    room = (available - span).clamp(min=0)
    start = (torch.rand(len(clips), generator=rng) * (room + 1)).long()
    position = start[:, None] + torch.arange(frames) * rate[:, None]
    low = position.floor()
    share = (position - low)[:, :, None]
    low = low.long()

    def take(row: Tensor) -> Tensor:
        inside = row < available[:, None]
        return store.power[store.first[clips][:, None] + torch.where(inside, row, 0)] * inside[:, :, None]

    if not share.any():
        return take(low)
    return (1 - share) * take(low) + share * take(low + 1)


def _uniform(n: int, limits: tuple[float, float], rng: torch.Generator, *, log: bool = False) -> Tensor:
    unit = torch.rand(n, generator=rng)
    low, high = limits
    return low * (high / low) ** unit if log else low + (high - low) * unit
