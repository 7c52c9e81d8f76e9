from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_shared.model.front_end import DataOpts
from hum_shared.model.spectrogram_stream import SpectrogramStream


def options(**changes: object) -> DataOpts:
    values: dict[str, object] = {
        "sr": 8000, "n_fft": 256, "hop_length": 64, "n_freq_bins": 16, "fmin": 0, "fmax": 4000,
        "freq_compression": "mel", "normalisation": "background", "background_s": 2.0,
    }  # fmt: skip
    return DataOpts.model_validate(values | changes)


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)


def rows(opts: DataOpts, audio: np.ndarray, edges: list[int]) -> torch.Tensor:
    bounds = [0, *sorted(e for e in edges if 0 < e < len(audio)), len(audio)]
    blocks = [audio[a:b] for a, b in itertools.pairwise(bounds) if b > a]
    return torch.cat(list(SpectrogramStream(opts).rows(blocks, len(audio))))


@settings(max_examples=40)
@given(n=st.integers(1, 30_000), edges=st.lists(st.integers(0, 30_000), max_size=5), hop=st.sampled_from([64, 300]))
def test_blocks_give_what_the_whole_gives(n: int, edges: list[int], hop: int) -> None:
    opts = options(hop_length=hop)
    whole, blocks = rows(opts, noise(n), []), rows(opts, noise(n), edges)
    assert whole.shape == (-(-n // hop), 16)
    assert torch.equal(whole, blocks)


def test_more_frames_than_one_slice_holds() -> None:
    opts = options(hop_length=16)
    audio = noise(16 * 5000)
    assert torch.equal(rows(opts, audio, []), rows(opts, audio, [1000, 1001, 33_333]))


@pytest.mark.parametrize("compression", ["linear", "mel"])
def test_a_frame_is_the_plain_stft_around_its_middle(compression: str) -> None:
    opts = options(freq_compression=compression, background_s=7.0)  # every frame counts: 875 of at most 1024
    audio = noise(8000 * 3)
    got = rows(opts, audio, [])
    padded = np.concatenate((np.zeros(96 + 1), audio.astype(np.float64), np.zeros(512)))
    emphasised = padded[1:] - 0.98 * padded[:-1]
    window = np.hanning(257)[:-1]
    stream = SpectrogramStream(opts)
    levels = []
    for i in range(len(got)):
        power = np.abs(np.fft.rfft(emphasised[i * 64 : i * 64 + 256] * window)) ** 2 / (window**2).sum()
        front_end = stream._front_end
        taken = power[front_end.bins.numpy()] if compression == "linear" else power @ front_end.mel.numpy()
        levels.append(10 * np.log10(np.maximum(taken, 1e-10)))
    background = np.sort(levels, axis=0)[(len(levels) - 1) // 2]  # torch's median: the lower of two
    expected = np.clip((np.array(levels) - background) / 10, -1, 5)
    assert np.abs(got.numpy() - expected).max() < 1e-3


def test_a_call_shows_at_its_own_time() -> None:
    audio = noise(8000 * 4) * 0.01
    t = np.arange(800) / 8000
    audio[16_000:16_800] += 0.5 * np.sin(2 * np.pi * 1500 * t).astype(np.float32)
    loud = rows(options(), audio, []).amax(dim=1) > 3
    first, last = np.flatnonzero(loud.numpy())[[0, -1]]
    assert abs((first + 0.5) * 64 - 16_000) <= 128
    assert abs((last + 0.5) * 64 - 16_800) <= 128


def test_too_little_audio_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 1000 samples of audio, got 999"):
        list(SpectrogramStream(options()).rows([noise(999)], 1000))
