"""An augmented training epoch from stored spectrograms, against a plain loop that works clip by clip."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn

from benchmarks.plain import PlainClips
from hum_shared.model.device import autocast
from hum_shared.model.front_end import DataOpts, FrontEnd
from hum_shared.model.network import Network, build_network
from hum_trainer.batches import HIGHEST_PITCH_SOURCE, BatchMaker, shuffled
from hum_trainer.clips import Clip
from hum_trainer.spectrograms import build_store, n_frames
from hum_trainer.tap_convs import use_tap_convs

OPTS = DataOpts(sr=48000, n_fft=2048, hop_length=1024, n_freq_bins=128, fmin=0, fmax=4000, min_max_norm=True)
WINDOW = 19200
CPU = torch.device("cpu")
N_CLIPS, BATCH, ROUNDS = 256, 16, 3


def run() -> list[dict[str, object]]:
    """Measure an epoch with and without the network; both sides alternate, best of three."""
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder))
        front_end = FrontEnd(OPTS, min_max_norm=True)
        bins = int(front_end.highest_bin * HIGHEST_PITCH_SOURCE) + 2
        store = build_store(
            clips, front_end, WINDOW, whole=True, bins=bins, cache_dir=None, num_workers=2, filter_broken=False,
        )  # fmt: skip
        frames = n_frames(WINDOW, OPTS.n_fft, OPTS.hop_length)
        maker = BatchMaker(store, front_end, frames, noise=store, augment=True)
        paths = [clip.path for clip in clips]
        plain = PlainClips(paths, [i % 2 for i in range(N_CLIPS)], paths, OPTS, WINDOW)
        rows = []
        for name, max_pool, precision in (
            ("batches alone", None, "float32"),
            ("whole epoch, max_pool 1, float32", 1, "float32"),
            ("whole epoch, max_pool 1, bfloat16", 1, "bfloat16"),
            ("whole epoch, max_pool 2, float32", 2, "float32"),
            ("whole epoch, max_pool 2, bfloat16", 2, "bfloat16"),
        ):
            my_network, network = (None, None) if max_pool is None else (_network(max_pool), _network(max_pool))
            if my_network is not None:
                use_tap_convs(my_network, frames, OPTS.input_bins, CPU)
                my_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            ours = theirs = 0.0
            for _ in range(ROUNDS):
                ours = max(ours, N_CLIPS / _ours(maker, my_network, precision))
                theirs = max(theirs, N_CLIPS / _plain(plain, network, precision))
            rows.append({"name": f"training, {name}", "unit": "clips/s", "ours": ours, "plain": theirs,
                         "ratio": ours / theirs})  # fmt: skip
        return rows


def make_clips(folder: Path) -> list[Clip]:
    """Write clips of 0.3 to 2 s of noise at 48 kHz."""
    rng = np.random.default_rng(0)
    clips = []
    for index in range(N_CLIPS):
        path = folder / f"{'target' if index % 2 else 'noise'}-x_{index:06d}.wav"
        soundfile.write(path, rng.normal(0, 0.05, int(rng.uniform(0.3, 2.0) * 48000)), 48000)
        clips.append(Clip(path, path.name.partition("-")[0]))
    return clips


def _network(max_pool: int) -> Network:
    torch.manual_seed(0)
    return build_network(resnet_size=18, max_pool=max_pool, conv_kernel_size=7, num_classes=2)


def _ours(maker: BatchMaker, network: Network | None, precision: str) -> float:
    rng = torch.Generator().manual_seed(0)
    step = _step(network, precision, fused=True)
    start = time.perf_counter()
    for clips in shuffled(N_CLIPS, BATCH, rng):
        step(maker.random(clips, rng), clips % 2)
    return time.perf_counter() - start


def _plain(clips: PlainClips, network: Network | None, precision: str) -> float:
    loader = torch.utils.data.DataLoader(clips, BATCH, shuffle=True)
    step = _step(network, precision, fused=False)
    start = time.perf_counter()
    for inputs, labels in loader:
        step(inputs, labels)
    return time.perf_counter() - start


def _step(network: Network | None, precision: str, *, fused: bool):  # type: ignore[no-untyped-def]
    if network is None:
        return lambda inputs, labels: None
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=fused)

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> None:
        with autocast(CPU, precision):
            logits = network(inputs)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
