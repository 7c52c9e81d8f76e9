from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from hum_shared.model.background import HIGHEST, LOWEST, SCALE_DB
from hum_shared.model.front_end import DataOpts
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_trainer.frame_backgrounds import FAINTEST_DB, stationary_noise, with_noise, with_other_backgrounds

OPTS = DataOpts(
    sr=8000, n_fft=256, hop_length=80, n_freq_bins=32, fmin=0, fmax=4000, freq_compression="mel",
    normalisation="background", background_s=5.0,
)  # fmt: skip
FRAMES, BINS = 200, 32
CALL = slice(50, 80)


def chunks(n: int, level_db: float, bin_: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Return quiet chunks, each with a call in one bin at that level, and their labels."""
    inputs, labels = torch.zeros(n, FRAMES, BINS), torch.zeros(n, FRAMES)
    inputs[:, CALL, bin_] = level_db / SCALE_DB
    labels[:, CALL] = 1
    return inputs, labels


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_looks_like_a_recording_of_noise_of_any_colour() -> None:
    noise = stationary_noise(OPTS, FRAMES)
    assert len(noise) > FRAMES
    red = lfilter([0.01], [1, -0.9], np.random.default_rng(1).standard_normal(20 * OPTS.sr)).astype(np.float32)
    recording = torch.cat(list(SpectrogramStream(OPTS).rows([red], len(red))))[10:-10]
    for share in (0.1, 0.5, 0.9, 0.99):
        assert torch.quantile(noise, share).item() == pytest.approx(torch.quantile(recording, share).item(), abs=0.03)
    assert torch.quantile(noise, 0.5).item() == pytest.approx(0, abs=0.02)


def test_noise_covers_calls_but_leaves_them_to_be_seen() -> None:
    inputs, labels = chunks(400, 40.0)
    noise = torch.zeros(2 * FRAMES, BINS)  # no fluctuation: what is left of a call can be read off
    out = with_noise(inputs, labels, noise, rng())
    left_db = SCALE_DB * out[:, CALL, 10].mean(dim=1)
    noisy = left_db < 39.99
    assert 0.4 < noisy.float().mean() < 0.6
    assert torch.allclose(out[~noisy], inputs[~noisy], atol=0.01)
    # A call a third of the way up the axis meets up to a third of the tilt.
    assert left_db.min() > FAINTEST_DB - 10 / 3 - 0.1
    assert left_db.min() < FAINTEST_DB + 3
    assert left_db[noisy].max() > 35
    # Measured over the noise, the background is where it was.
    assert out[:, :40].abs().max() < 1e-5


@pytest.mark.parametrize("bin_", [0, BINS - 1])
def test_noise_is_tilted_to_either_side(bin_: int) -> None:
    inputs, labels = chunks(400, 40.0, bin_)
    inputs[:, 150, :] = 6.0 * 40 / 60  # 40 dB in every bin, in no call
    out = SCALE_DB * with_noise(inputs, labels, torch.zeros(2 * FRAMES, BINS), rng())[:, 150]
    noisy = out[:, BINS // 2] < 35
    difference = (out[:, 0] - out[:, -1])[noisy]
    assert difference.min() < -15
    assert difference.max() > 15
    assert difference.abs().max() <= 20.1
    assert difference.mean().abs() < 3


def test_the_median_frame_of_a_chunks_calls_sets_how_far_noise_rises() -> None:
    inputs, labels = chunks(400, 40.0)
    inputs[:, 100:110, 10] = 1.5  # a shorter and fainter one
    labels[:, 100:110] = 1
    out = SCALE_DB * with_noise(inputs, labels, torch.zeros(2 * FRAMES, BINS), rng())
    assert out[:, CALL, 10].min() < FAINTEST_DB + 3
    assert out[:, 105, 10].min() < 1


def test_noise_is_cut_anywhere() -> None:
    inputs, labels = chunks(400, 40.0)
    ramp = torch.linspace(0, 2, 2 * FRAMES)[:, None].expand(-1, BINS)
    out = with_noise(inputs, labels, ramp, rng())
    started = out[:, 0, BINS // 2]  # at most what the ramp holds at the cut
    assert started.max() > 0.8
    assert torch.quantile(started, 0.3) < 0.3


def test_calls_that_are_faint_already_are_left_alone() -> None:
    inputs, labels = chunks(50, FAINTEST_DB - 1)
    out = with_noise(inputs, labels, torch.zeros(2 * FRAMES, BINS), rng())
    assert torch.allclose(out, inputs, atol=1e-5)


def test_chunks_without_calls_meet_the_same_noise() -> None:
    inputs, labels = chunks(800, 40.0)
    inputs[400:] = 0
    labels[400:] = 0
    inputs[:, 150, 10] = 4.0  # a sound that is no call
    out = with_noise(inputs, labels, torch.zeros(2 * FRAMES, BINS), rng())
    with_calls, without = (SCALE_DB * out[part, 150, 10] for part in (slice(400), slice(400, None)))
    for share in (0.1, 0.3, 0.5, 0.7):
        difference = torch.quantile(with_calls, share) - torch.quantile(without, share)
        assert difference.abs() < 6  # quantiles of 400 draws over 30 dB


def test_without_any_call_nothing_changes() -> None:
    inputs = torch.rand(4, FRAMES, BINS, generator=rng())
    assert torch.equal(with_noise(inputs, torch.zeros(4, FRAMES), torch.zeros(2 * FRAMES, BINS), rng()), inputs)


def test_backgrounds_of_others_come_without_their_calls() -> None:
    inputs, labels = chunks(64, 40.0)
    quiet = torch.zeros_like(inputs), torch.zeros_like(labels)
    tapes = ["a.wav"] * 64 + ["b.wav"] * 64
    inputs[:, [CALL.start - 1, CALL.stop]] = 3.0  # frames reach beyond their hop: calls show in their neighbours
    out = with_other_backgrounds(torch.cat((inputs, quiet[0])), torch.cat((labels, quiet[1])), 1, tapes, rng())
    assert out[64:].abs().max() < 1e-5
    assert out[:64, CALL, 10].mean() < 4.0  # over two backgrounds


def test_backgrounds_are_those_of_other_tapes_where_there_are_any() -> None:
    inputs = torch.zeros(300, FRAMES, BINS)
    inputs[:200, :, 0], inputs[200:, :, 1] = 3.0, 3.0
    out = with_other_backgrounds(inputs, torch.zeros(300, FRAMES), 0, ["a b.wav"] * 200 + ["ä.wav"] * 100, rng())
    change = (out - inputs)[:, 0]
    mixed = change.abs().amax(dim=1) > 1e-4
    assert 0.4 < mixed.float().mean() < 0.6
    assert change[:200][mixed[:200], 1].min() > 0  # power where only the other tape has any
    assert change[200:][mixed[200:], 0].min() > 0


def test_on_one_tape_backgrounds_are_those_of_other_chunks() -> None:
    inputs = torch.stack([torch.full((FRAMES, BINS), float(level)) for level in (0, 2)] * 100)
    inputs[1::2, :, : BINS // 2] = 0
    labels = torch.zeros(200, FRAMES)
    out = with_other_backgrounds(inputs, labels, 0, ["a.wav"] * 200, rng())
    assert not torch.equal(out, inputs)
    one = inputs[1:2]
    assert torch.equal(with_other_backgrounds(one, labels[:1], 0, ["a.wav"], rng()), one)


@pytest.mark.parametrize("change", ["noise", "other"])
def test_the_range_of_network_input_is_kept(change: str) -> None:
    inputs = LOWEST + (HIGHEST - LOWEST) * torch.rand(16, FRAMES, BINS, generator=rng())
    labels = torch.zeros(16, FRAMES)
    labels[:, CALL] = 1
    noise = LOWEST + (HIGHEST - LOWEST) * torch.rand(2 * FRAMES, BINS, generator=rng(1))
    tapes = ["a.wav", "b.wav"] * 8
    if change == "noise":
        out = with_noise(inputs, labels, noise, rng())
    else:
        out = with_other_backgrounds(inputs, labels, 2, tapes, rng())
    assert out.shape == inputs.shape
    assert LOWEST <= out.min() < out.max() <= HIGHEST
    assert not torch.equal(out, inputs)
