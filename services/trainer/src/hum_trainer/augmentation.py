"""Variations of training examples, as tensors: time, pitch, background, gain, masks, mixup.

Everything works on batches of log-power spectrograms (N, T, F) in dB with labels per example (N, …) or per frame
(N, T, …). What is random draws from the generator it is given, on the CPU, so that every device sees the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TIME = (0.9, 1.1)
PITCH = (0.9, 1.1)
SNR_DB = (0.0, 20.0)
GAIN_DB = (-6.0, 6.0)
MASKED = 0.15
"""SpecAugment: largest share of the time or frequency axis that one mask covers."""


def uniform(n: int, limits: tuple[float, float], rng: torch.Generator) -> Tensor:
    """Return `n` numbers spread evenly over `limits`, on the CPU."""
    low, high = limits
    return low + (high - low) * torch.rand(n, generator=rng)


def ratios(n: int, limits: tuple[float, float], rng: torch.Generator) -> Tensor:
    """Return `n` factors whose logarithms are spread evenly over `limits`, on the CPU."""
    low, high = limits
    return low * (high / low) ** torch.rand(n, generator=rng)


def stretch_time(values: Tensor, centre: Tensor, rate: Tensor, frames: int) -> Tensor:
    """Read `frames` rows around a centre, `rate` times as fast.

    Parameters
    ----------
    values
        Shape (N, T, …).
    centre
        Row, also between two, that becomes the middle of the result; shape (N,).
    rate
        Shape (N,); 1.1 makes calls 10 % shorter.

    Returns
    -------
    Tensor
        Shape (N, frames, …). Before the first and behind the last row, these repeat.
    """
    offset = torch.arange(frames, device=values.device) - (frames - 1) / 2
    position = (centre[:, None] + rate[:, None] * offset).clamp(0, values.shape[1] - 1)
    shape = (*position.shape, *[1] * (values.dim() - 2))

    def take(row: Tensor) -> Tensor:
        return values.gather(1, row.view(shape).expand(-1, -1, *values.shape[2:]))

    low = position.floor()
    share = (position - low).view(shape).to(values.dtype)
    low = low.long()
    if not share.any():
        return take(low)
    return torch.lerp(take(low), take((low + 1).clamp(max=values.shape[1] - 1)), share)


def shift_pitch(level: Tensor, hz: Tensor, factor: Tensor, *, nearest: bool = False) -> Tensor:
    """Scale the frequency axis: the level at f comes from f / factor.

    Parameters
    ----------
    level
        Shape (N, T, F).
    hz
        Frequency of each bin, never decreasing, shape (F,).
    factor
        Shape (N,); 1.1 is 10 % up. What would come from outside the axis repeats its end.
    nearest
        Take the nearest bin instead of interpolating, which makes noise smoother.
    """
    bins = len(hz)
    if bins < 2:
        return level
    wanted = hz / factor[:, None].to(hz.dtype)
    high = torch.searchsorted(hz, wanted.contiguous()).clamp(1, bins - 1)
    low = high - 1
    width = hz[high] - hz[low]
    share = torch.where(width > 0, (wanted - hz[low]) / width.clamp(min=1e-9), 0.0).clamp(0, 1)
    if nearest:
        share = share.round()

    def take(index: Tensor) -> Tensor:
        return level.gather(2, index[:, None, :].expand(-1, level.shape[1], -1))

    return torch.lerp(take(low), take(high), share[:, None, :].to(level.dtype))


def mix_background(level: Tensor, background: Tensor, snr_db: Tensor) -> Tensor:
    """Add the power of another recording at a signal-to-noise ratio of mean powers.

    Parameters
    ----------
    level, background
        Shape (N, T, F), dB.
    snr_db
        Shape (N,); infinity adds nothing.
    """
    scale = math.log(10) / 10
    wanted = _mean_db(level) - snr_db.to(level.dtype)
    moved = background + (wanted - _mean_db(background))[:, None, None]
    return torch.logaddexp(level * scale, moved * scale) / scale


def change_gain(level: Tensor, gain_db: Tensor) -> Tensor:
    """Add a gain to each example; shape (N,), dB."""
    return level + gain_db.to(level.dtype)[:, None, None]


def mask(level: Tensor, rng: torch.Generator, *, largest: float = MASKED) -> Tensor:
    """Hide one stretch of time and one of frequency in each example (SpecAugment, Park et al. 2019).

    Parameters
    ----------
    largest
        Share of an axis that a mask covers at most; its width is drawn from 0 to that.

    Returns
    -------
    Tensor
        Masked parts hold the example's mean.
    """
    n, frames, bins = level.shape
    hidden = torch.zeros(n, frames, bins, dtype=torch.bool)
    for axis, size in ((1, frames), (2, bins)):
        width = uniform(n, (0, largest), rng) * size
        start = torch.rand(n, generator=rng) * (size - width)
        at = torch.arange(size)
        covered = (at >= start[:, None].round()) & (at < (start + width)[:, None].round())
        hidden |= covered[:, :, None] if axis == 1 else covered[:, None, :]
    return torch.where(hidden.to(level.device), level.mean((1, 2), keepdim=True), level)


def mixup(inputs: Tensor, targets: Tensor, alpha: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blend each example and its soft label with another of the batch (Zhang et al. 2018).

    Parameters
    ----------
    inputs
        Shape (N, …).
    targets
        Probabilities of the classes, shape (N, C) or (N, T, C).
    alpha
        The larger share of a blend is drawn from Beta(α, α); 0 changes nothing.
    """
    if alpha <= 0:
        return inputs, targets
    n = len(inputs)
    # A ratio of two Gamma draws is a Beta draw; torch's own sampler takes no generator.
    parts = torch._standard_gamma(torch.full((2, n), alpha), generator=rng).clamp(min=1e-30)
    share = (parts.amax(0) / parts.sum(0)).to(inputs.device)
    other = torch.randperm(n, generator=rng).to(inputs.device)

    def blend(values: Tensor) -> Tensor:
        own = share.view(-1, *[1] * (values.dim() - 1)).to(values.dtype)
        return own * values + (1 - own) * values[other]

    return blend(inputs), blend(targets)


def soft_labels(inside: Tensor, smoothing: float) -> Tensor:
    """Return probabilities of (other, call) from labels 0 … 1, with `smoothing` spread over both classes.

    Parameters
    ----------
    inside
        Shape (N,) or (N, T).

    Returns
    -------
    Tensor
        Shape (N, 2) or (N, T, 2), float32.
    """
    call = inside.float() * (1 - smoothing) + smoothing / 2
    return torch.stack((1 - call, call), dim=-1)


def _mean_db(level: Tensor) -> Tensor:
    scale = math.log(10) / 10
    return (torch.logsumexp(level.flatten(1) * scale, dim=1) - math.log(level[0].numel())) / scale
