"""Other backgrounds for the chunks that the dense network learns from: another chunk's, and noise that rises.

Recordings to train on are often clearer than those to search. Calls that stand 40 dB over their background teach a
network to look for all of that; where rain or distance leaves 10 dB it finds none. So in training, noise rises to
anywhere between a call's background and what just leaves the call to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hum_shared.model.background import HIGHEST, LOWEST, SCALE_DB
from hum_shared.model.front_end import DataOpts
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_trainer.augmentation import uniform

BELOW_DB = (0.0, 20.0)
"""How far another chunk's background lies below the own one."""
MIXED = 0.5
"""Share of the chunks that get another chunk's background on top."""
NOISY = 0.5
"""Share of the chunks in which noise rises."""
FAINTEST_DB = 10.0
"""What is left of calls: their loudest bin over the background. Of a hundred bins of noise the loudest is near 8 dB."""
TILT_DB = 10.0
"""By how much the noise rises more, or less, at either end of the frequency axis."""

_NOISE_SEED = 0
_NOISE_S, _NOISE_CHUNKS = 20, 8  # length of the noise: seconds, or chunks if that is longer


def stationary_noise(opts: DataOpts, chunk_frames: int) -> Tensor:
    """Return the network's input where a recording is nothing but noise; shape (n, F), n > `chunk_frames`.

    Input is level over each bin's own background: white noise gives the same as noise of any other colour.
    """
    frames = max(_NOISE_S * opts.sr, _NOISE_CHUNKS * chunk_frames * opts.hop_length)
    audio = 0.1 * np.random.default_rng(_NOISE_SEED).standard_normal(frames, dtype=np.float32)
    rows = torch.cat(list(SpectrogramStream(opts).rows([audio], frames)))
    edge = -(-opts.n_fft // opts.hop_length)  # frames that reach beyond the audio's ends
    return rows[edge : len(rows) - edge]


def with_other_backgrounds(
    inputs: Tensor, labels: Tensor, spread: int, tapes: Sequence[str], rng: torch.Generator
) -> Tensor:
    """Add the power of another chunk of the batch, its calls taken out, to some chunks.

    That chunk is of another tape where the batch holds one. A batch of one chunk stays as it is.

    Parameters
    ----------
    inputs
        Network input, shape (N, T, F).
    labels
        1 inside calls, shape (N, T).
    spread
        Frames before and behind a call that are taken out with it.
    tapes
        Of each chunk.
    """
    n = len(inputs)
    if n == 1:
        return inputs
    number = torch.tensor([tapes.index(tape) for tape in tapes])
    foreign = number[:, None] != number
    strange = torch.where(foreign.any(dim=1, keepdim=True), foreign, ~torch.eye(n, dtype=torch.bool))
    other = torch.rand(n, n, generator=rng).masked_fill(~strange, -1).argmax(dim=1)
    k = 10 ** (-uniform(n, BELOW_DB, rng) / 10) * (torch.rand(n, generator=rng) < MIXED)
    of_call = functional.max_pool1d(labels, 2 * spread + 1, stride=1, padding=spread) > 0
    added = torch.where(of_call[other][..., None], torch.zeros(()), inputs[other])
    return with_added(inputs, added, k[:, None, None])


def with_noise(inputs: Tensor, labels: Tensor, noise: Tensor, rng: torch.Generator) -> Tensor:
    """Let noise rise in some chunks, so far that the median frame of their calls keeps about `FAINTEST_DB`.

    About: the noise is tilted besides, and a call fainter than the others of its chunk keeps less. Where that frame
    has no more to begin with, no noise rises. A chunk without calls is treated as if it held those of another one of
    the batch, so that noise says nothing about calls. Without a call in the whole batch nothing changes.

    Parameters
    ----------
    inputs
        Network input, shape (N, T, F).
    labels
        1 inside calls that the chunk shows, shape (N, T).
    noise
        Of :func:`stationary_noise`.
    """
    n, frames, bins = inputs.shape
    loudest_bin = inputs.amax(dim=2).masked_fill(labels == 0, torch.nan)
    level = loudest_bin.nanmedian(dim=1).values  # of the calls in each chunk; not a number without any
    of_calls = level[~level.isnan()]
    if len(of_calls) == 0:
        return inputs
    level = torch.where(level.isnan(), of_calls[torch.randint(len(of_calls), (n,), generator=rng)], level)
    rise = (level - FAINTEST_DB / SCALE_DB).clamp(min=0) * torch.rand(n, generator=rng)
    tilt = uniform(n, (-TILT_DB / SCALE_DB, TILT_DB / SCALE_DB), rng)
    noisy = (torch.rand(n, generator=rng) < NOISY) & (rise > 0)
    by_bin = rise[:, None] + tilt[:, None] * torch.linspace(-1, 1, bins)
    k = torch.where(noisy[:, None], 10 ** by_bin.clamp(min=0) - 1, 0.0)
    first = torch.randint(len(noise) - frames + 1, (n,), generator=rng)
    added = torch.stack([noise[start : start + frames] for start in first.tolist()])
    return with_added(inputs, added, k[:, None, :])


def with_added(inputs: Tensor, added: Tensor, k: Tensor) -> Tensor:
    """Add another background at `k` times the power of the own one; shapes of inputs broadcast.

    Input is power over background in tens of decibels; measured over both backgrounds the sum is
    ``(x + k·y) / (1 + k)`` in powers. That is exact for mean backgrounds; with medians, the result is up to 0.8 dB
    higher where the two are equally loud.
    """
    return torch.log10((10**inputs + k * 10**added) / (1 + k)).clamp(LOWEST, HIGHEST)
