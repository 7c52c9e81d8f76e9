"""Power spectrograms of all clips, computed once and kept: in memory, or in a cache that array tasks share.

A clip is stored so that every window of it, at any multiple of the STFT hop, is a run of rows. This is exact:
pre-emphasis within a window differs from that of the clip only in the window's first sample, which the
periodic Hann window multiplies by zero.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hum_shared.audio import Samples, probe, resampled_length
from hum_shared.command import warn
from hum_shared.errors import AudioError, InputError
from hum_shared.files import atomic_path, sha256_file, sha256_json
from hum_shared.model.front_end import FrontEnd
from hum_trainer.clips import Clip, read_clip
from hum_trainer.mapped import from_cache

CACHE_VERSION = 1


class _Arrays(NamedTuple):
    """Rows of all clips that could be read, how many each has, and which of the clips they are."""

    power: NDArray[np.float32]
    frames: NDArray[np.int64]
    kept: NDArray[np.int64]


@dataclass(frozen=True)
class SpectrogramStore:
    """The spectrograms of a set of clips, one behind the other.

    Attributes
    ----------
    power
        Shape (rows, bins), float32.
    first, frames
        Row at which each clip starts, and how many it has; shape (clips,), int64.
    clips
        The clips, in that order.
    """

    power: Tensor
    first: Tensor
    frames: Tensor
    clips: Sequence[Clip]


def build_store(
    clips: Sequence[Clip],
    front_end: FrontEnd,
    window: int,
    *,
    whole: bool,
    bins: int,
    cache_dir: Path | None,
    num_workers: int,
    filter_broken: bool,
) -> SpectrogramStore:
    """Compute, or fetch from the cache, the power spectrograms of `clips`.

    Parameters
    ----------
    window
        Samples that the network sees.
    whole
        Keep all of a clip, so that windows at random positions can be cut; else only the window at its centre.
    bins
        STFT bins kept, from 0.
    num_workers
        Threads; 0: one per CPU.
    filter_broken
        Leave out clips that cannot be read, with a warning, instead of failing.

    Raises
    ------
    AudioError
        When a clip cannot be read (unless `filter_broken`).
    InputError
        When no clip is left.
    """
    opts = front_end.opts
    workers = num_workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:

        def spectrogram(clip: Clip) -> NDArray[np.float32] | AudioError:
            try:
                audio = _placed(read_clip(clip.path, opts.sr), window, opts.hop_length, whole=whole)
            except AudioError as error:
                return error
            power = _power(audio, front_end, window)[:, :bins]
            if not power.isfinite().all():
                return AudioError(f"{clip.path}: samples far beyond full scale. Normalise it.")
            return power.numpy()

        def compute() -> _Arrays:
            return _readable(clips, pool.map(spectrogram, clips), filter_broken=filter_broken)

        if cache_dir is None:
            return _store(compute(), clips)
        digests = list(pool.map(lambda clip: sha256_file(clip.path), clips))
        settings = [CACHE_VERSION, opts.sr, opts.n_fft, opts.hop_length, opts.preemphases, window, whole, bins]
        path = cache_dir / f"{sha256_json([settings, digests, filter_broken])}.npz"
        return _store(from_cache(path, lambda path: _save(path, compute()), _load), clips)


def _readable(
    clips: Sequence[Clip], spectrograms: Iterable[NDArray[np.float32] | AudioError], *, filter_broken: bool
) -> _Arrays:
    """Return the spectrograms of clips, joined, without those that could not be read where these may be left out."""
    found: list[NDArray[np.float32]] = []
    kept: list[int] = []
    for index, result in enumerate(spectrograms):
        if isinstance(result, AudioError):
            if not filter_broken:
                raise AudioError(f"{result} (filter_broken_audio=true leaves such clips out)")
            warn(f"{result}; left out")
        else:
            found.append(result)
            kept.append(index)
    if not kept:
        raise InputError(f"none of {len(clips)} clips can be read, first {clips[0].path}")
    frames = np.array([len(one) for one in found], dtype=np.int64)
    return _Arrays(_joined(found), frames, np.array(kept))


def stored_bytes(clips: Sequence[Clip], front_end: FrontEnd, window: int, *, whole: bool, bins: int) -> int:
    """Return the size of what :func:`build_store` will keep in memory; clips that cannot be read count nothing."""
    opts = front_end.opts
    rows = 0
    for clip in clips:
        try:
            info = probe(clip.path)
        except AudioError:
            continue
        length = resampled_length(info.frames, info.sample_rate, opts.sr)
        if whole and length < window:
            length = (window - length) // opts.hop_length * opts.hop_length + window
        # A window shorter than the transform is padded to it: a row then is a window.
        rows += n_frames(length if whole else window, min(opts.n_fft, window), opts.hop_length)
    return 4 * bins * rows


def _joined(spectrograms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return all rows as one array; the list is emptied on the way, so that they lie in memory but once."""
    ends = np.cumsum([len(one) for one in spectrograms])
    rows = np.empty((ends[-1], spectrograms[0].shape[1]), dtype=np.float32)
    for end in reversed(ends.tolist()):
        one = spectrograms.pop()
        rows[end - len(one) : end] = one
    return rows


def _placed(audio: Samples, window: int, hop: int, *, whole: bool) -> Samples:
    """Return the part of a clip to transform: its centre window, or all of it with room for every position."""
    missing = window - audio.size
    if not whole:
        if missing > 0:
            return np.pad(audio, (missing // 2, missing - missing // 2))
        start = -missing // 2
        return audio[start : start + window]
    if missing > 0:  # a window may start up to `missing` samples before the clip, in steps of the hop
        return np.pad(audio, (missing // hop * hop, missing))
    return audio


@torch.inference_mode()
def _power(audio: Samples, front_end: FrontEnd, window: int) -> Tensor:
    """Return the rows of one clip, shape (rows, bins)."""
    samples = torch.from_numpy(audio)
    if window < front_end.opts.n_fft:  # the front end pads each window: a row is a window of its own
        return front_end.full_power(samples.unfold(0, window, front_end.opts.hop_length))[:, 0]
    return front_end.full_power(samples[None])[0]


def n_frames(window: int, n_fft: int, hop: int) -> int:
    """Return how many STFT frames a window of `window` samples has."""
    return 1 + max(0, math.floor((window - n_fft) / hop))


def _store(arrays: _Arrays, clips: Sequence[Clip]) -> SpectrogramStore:
    return SpectrogramStore(
        torch.from_numpy(arrays.power),
        torch.from_numpy(np.cumsum(arrays.frames) - arrays.frames),
        torch.from_numpy(arrays.frames),
        [clips[i] for i in arrays.kept.tolist()],
    )


def _save(path: Path, arrays: _Arrays) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays._asdict())


def _load(path: Path) -> _Arrays:
    try:
        with path.open("rb") as file, np.load(file) as content:
            return _Arrays(*(content[name] for name in _Arrays._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: broken cache file ({error})") from None
