"""Scoring on a GPU, by networks that seem to be on one: too small a memory, and batches made ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hum_shared.errors import MachineError
from hum_shared.grid import window_grid
from hum_shared.model.dense import DenseNetwork
from hum_shared.model.frame_scoring import FrameScorer
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import LoadedModel
from hum_shared.model.network import build_network
from hum_shared.model.scoring import WindowScorer, score_recording

CPU = torch.device("cpu")
OPTS = DataOpts(sr=8000, n_fft=256, hop_length=64, n_freq_bins=16, fmin=0, fmax=4000)
BACKGROUND = DataOpts(
    sr=8000, n_fft=256, hop_length=64, n_freq_bins=16, fmin=0, fmax=4000, freq_compression="mel",
    normalisation="background", background_s=2.0,
)  # fmt: skip


class Limited(nn.Module):
    """A network on a device that has room for so many windows, or frames."""

    def __init__(self, network: nn.Module, room: int, axis: int) -> None:
        super().__init__()
        self.network, self.room, self.axis, self.seen = network, room, axis, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape[self.axis])
        if x.shape[self.axis] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        out: Tensor = self.network(x)
        return out


def window_scorer(room: int, batch_size: int = 0) -> tuple[WindowScorer, Limited]:
    torch.manual_seed(0)
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=7, num_classes=2).eval()
    model = LoadedModel(network.encoder, network.classifier, "avg", OPTS, {}, {"noise": 0, "target": 1}, "")
    scorer = WindowScorer(model, min_max_norm=True, device=CPU, precision="float32", batch_size=batch_size)
    scorer.encoder = limited = Limited(scorer.encoder, room, axis=0)
    return scorer, limited


@pytest.mark.parametrize("latent", [True, False])
def test_fewer_windows_at_a_time_give_the_same_scores(latent: bool) -> None:
    windows = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (23, 3200)).astype(np.float32))
    wanted, features = window_scorer(100)[0].score(windows, latent=latent)
    scorer, limited = window_scorer(6)
    probs, pooled = scorer.score(windows, latent=latent)
    torch.testing.assert_close(probs, wanted, rtol=0, atol=1e-6)
    if latent:
        torch.testing.assert_close(pooled, features, rtol=1e-5, atol=1e-5)
    else:
        assert pooled is None
    assert limited.seen == [23, 11, 5, 5, 5, 5, 3]
    scorer.score(windows)
    assert limited.seen[7:] == [5, 5, 5, 5, 3]  # what fits is known now


@pytest.mark.parametrize(("room", "batch_size", "said"), [(6, 8, "batch_size 8"), (0, 0, "a single window")])
def test_a_batch_that_was_asked_for_is_not_changed(room: int, batch_size: int, said: str) -> None:
    scorer, _ = window_scorer(room, batch_size)
    with pytest.raises(MachineError, match=f"out of GPU memory with {said}"):
        scorer.score(torch.zeros(8, 3200))


def test_no_windows_have_no_scores() -> None:
    probs, pooled = window_scorer(100)[0].score_inputs(torch.zeros(0, 1, 50, 16))
    assert (probs.shape, pooled) == ((0, 2), None)


@pytest.mark.parametrize(("device", "thread"), [("cpu", "MainThread"), ("cuda", "reader")])
def test_batches_are_made_ahead_for_a_gpu(device: str, thread: str) -> None:
    made_by: list[str] = []

    def blocks() -> Iterator[NDArray[np.float32]]:
        for first in range(0, 8000, 1000):
            made_by.append(threading.current_thread().name)
            yield np.arange(first, first + 1000, dtype=np.float32)

    def score(windows: Tensor, *, latent: bool) -> tuple[Tensor, None]:
        return windows[:, :1].repeat(1, 2), None

    scorer: Any = SimpleNamespace(
        device=SimpleNamespace(type=device), stream=None, batch_size=4, threads=1, score=score, score_inputs=score
    )
    grid = window_grid(8000, 8000, 0.1, 0.05, score_tail=True)
    rows = list(score_recording(blocks(), grid, scorer))
    assert np.concatenate([one.probs[:, 0] for one in rows]).tolist() == grid.starts().tolist()
    assert [one.first for one in rows] == list(range(0, grid.n_windows, 4))
    assert set(made_by) == {thread}


def frame_scorer(room: int, chunk: int = 0) -> tuple[FrameScorer, Limited]:
    torch.manual_seed(0)
    network = DenseNetwork(
        members=1, n_freq_bins=16, channels=(4, 4, 8, 8), width=8, dilations=(1, 2, 4), num_classes=2
    ).eval()
    scorer = FrameScorer(network, BACKGROUND, device=CPU, precision="float32", chunk=chunk)
    scorer.network = limited = Limited(scorer.network, room, axis=1)
    return scorer, limited


def test_fewer_frames_at_a_time_give_the_same_logits() -> None:
    rows = torch.randn(1001, 16)
    wanted = frame_scorer(2000)[0].logits(rows)
    scorer, limited = frame_scorer(200)
    torch.testing.assert_close(scorer.logits(rows), wanted, rtol=0, atol=1e-5)
    assert max(limited.seen[limited.seen.index(next(n for n in limited.seen if n <= 200)) :]) <= 200
    before = len(limited.seen)
    scorer.logits(rows)
    assert max(limited.seen[before:]) <= 200  # what fits is known now


@pytest.mark.parametrize(("room", "chunk"), [(200, 500), (10, 0)])
def test_frames_that_were_asked_for_or_do_not_fit_at_all_are_an_error(room: int, chunk: int) -> None:
    scorer, _ = frame_scorer(room, chunk)
    with pytest.raises(MachineError, match=f"out of GPU memory with {'batch_size 500' if chunk else '[0-9]+ frames'}"):
        scorer.logits(torch.randn(500, 16))
