from __future__ import annotations

import numpy as np
import pytest
import torch

from hum_shared.model.dense import DenseNetwork, dilations_for, folded
from hum_shared.model.frame_scoring import FrameScorer
from hum_shared.model.front_end import DataOpts
from hum_shared.model.time_major import TimeMajorNetwork

OPTS = DataOpts(
    sr=8000, n_fft=256, hop_length=64, n_freq_bins=16, fmin=0, fmax=4000, freq_compression="mel",
    normalisation="background", background_s=2.0,
)  # fmt: skip


def network(members: int = 2, n_freq_bins: int = 16) -> DenseNetwork:
    torch.manual_seed(1)
    made = DenseNetwork(
        members=members, n_freq_bins=n_freq_bins, channels=(4, 4, 8, 8), width=8, dilations=(1, 2, 4, 8), num_classes=2
    )
    for module in made.modules():  # running statistics of an untrained network would hide mistakes
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.running_mean) * 0.1  # type: ignore[arg-type]
    return made.eval()


def scores(scorer: FrameScorer, audio: np.ndarray, block: int) -> np.ndarray:
    grid = scorer.grid(len(audio))
    parts = list(scorer.score([audio[i : i + block] for i in range(0, len(audio), block)], grid))
    assert [part.first for part in parts] == list(np.cumsum([0] + [len(part.probs) for part in parts])[:-1])
    return np.concatenate([part.probs for part in parts])


@pytest.mark.parametrize("n", [1, 63, 64, 5_000, 40_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_and_chunks_give_what_the_whole_gives(n: int, threads: int) -> None:
    audio = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
    cpu = torch.device("cpu")
    net = network()
    whole = scores(FrameScorer(net, OPTS, device=cpu, precision="float32", chunk=10_000), audio, n)
    parts = scores(FrameScorer(net, OPTS, device=cpu, precision="float32", chunk=50, threads=threads), audio, 777)
    assert whole.shape == (-(-n // 64), 2)
    assert np.abs(whole.sum(axis=1) - 1).max() < 1e-6
    assert np.abs(whole - parts).max() < 1e-5


def test_a_score_depends_on_the_reach_and_on_nothing_beyond() -> None:
    net = network(members=1)
    rows = torch.randn(200, 16)
    changed = rows.clone()
    changed[100] += 3
    scorer = FrameScorer(net, OPTS, device=torch.device("cpu"), precision="float32")
    differs = (scorer.logits(rows) - scorer.logits(changed)).abs().amax(dim=1) > 0
    touched = np.flatnonzero(differs.numpy())
    assert touched.min() >= 100 - net.reach
    assert touched.max() <= 100 + net.reach


def test_an_ensemble_averages_logits() -> None:
    net = network(members=3)
    rows = torch.randn(1, 40, 16)
    with torch.no_grad():
        mean = sum(member(rows) for member in net.members) / 3
        assert torch.allclose(net(rows), mean, atol=1e-6)


@pytest.mark.parametrize("context", [1, 30, 121, 500])
def test_dilations_reach_the_context(context: float) -> None:
    net = DenseNetwork(
        members=1, n_freq_bins=8, channels=(2, 2, 2, 2), width=2, dilations=dilations_for(context), num_classes=2
    )
    assert net.reach >= context / 2


def test_folding_leaves_the_numbers_and_the_network_alone() -> None:
    net = network(members=2)
    rows = torch.randn(1, 60, 16)
    with torch.no_grad():
        before = net(rows)
        plain = folded(net)
        assert torch.allclose(plain(rows), before, atol=1e-5)
        assert torch.equal(net(rows), before)
    assert not any(isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) for module in plain.modules())
    assert plain.reach == net.reach


@pytest.mark.parametrize("n_freq_bins", [1, 2, 7, 16, 65])
@pytest.mark.parametrize("frames", [1, 2, 9, 300])
def test_time_major_gives_the_numbers_of_the_network(n_freq_bins: int, frames: int) -> None:
    net = network(n_freq_bins=n_freq_bins, members=2)
    rows = torch.randn(1, frames, n_freq_bins)
    with torch.no_grad():
        wanted = net(rows)
        before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        assert torch.allclose(TimeMajorNetwork(net)(rows), wanted, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("n_freq_bins", [1, 2, 9, 16])
def test_halving_frequencies_is_the_same_with_and_without_gradients(n_freq_bins: int) -> None:
    halve = network().members[0].stem[3]
    x = torch.randn(2, 3, 5, n_freq_bins)
    with torch.inference_mode():
        without = halve(x)
    assert torch.equal(halve(x), without)
    assert torch.equal(without, torch.nn.functional.max_pool2d(x, (1, 2), ceil_mode=True))
