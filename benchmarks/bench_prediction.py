"""Prediction from file to score track, against the bare network and a plain one-window-at-a-time loop."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.plain import score_plainly
from hum_shared.model.dense import DenseNetwork, dilations_for
from hum_shared.model.device import autocast, exact_float32, supports_bfloat16
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_file import load_model, save_dense_model, save_model
from hum_shared.model.network import build_network
from hum_trainer.frames_run import CHANNELS, WIDTH

OPTS = DataOpts(sr=48000, n_fft=2048, hop_length=1024, n_freq_bins=128, fmin=0, fmax=4000)
WINDOW_S, HOP_S = 0.4, 0.05
SECONDS, DENSE_SECONDS, PLAIN_SECONDS = 600, 3600, 10  # as short as start-up does not show
BARE_BATCHES = (16, 32, 64, 128)
ROUNDS = 2


def run() -> list[dict[str, object]]:
    """Measure prediction in float32 and, where the CPU has it, bfloat16; everything best of two."""
    exact_float32()
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model_path = make_model(root)
        rows = []
        for precision in ("float32", "bfloat16"):
            if precision == "bfloat16" and not supports_bfloat16(device):
                print("this CPU has no bfloat16: left out", file=sys.stderr)
                continue
            # Alternating, so that a slow moment of the machine does not favour one side.
            bare, ours = 0.0, 0.0
            for _ in range(ROUNDS):
                bare = max(bare, bare_network(model_path, precision, device))
                ours = max(ours, predict(root, model_path, precision, SECONDS)["windows_per_s"])
            rows.append({"name": f"prediction, {precision}, against the bare network", "unit": "windows/s",
                         "ours": ours, "plain": bare, "ratio": ours / bare})  # fmt: skip
            if precision == "float32":
                plain, peak = plain_loop(root, model_path), predict(root, model_path, precision, SECONDS)["peak_mb"]
                rows.append({"name": "prediction, float32, against the plain loop", "unit": "windows/s",
                             "ours": ours, "plain": plain, "ratio": ours / plain, "peak_mb": peak})  # fmt: skip
        return rows


def dense() -> list[dict[str, object]]:
    """Compare a dense ensemble with ResNet-18 windows, from 48 kHz files to score tracks, in float32.

    The second row's baseline is the ResNet as it stands in the model file, in batches, its input ready in memory. The
    dense model's rate, hop and band are what `hum-trainer suggest-cfg` gives for hums.
    """
    exact_float32()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        windows, frames = make_model(root), make_dense_model(root)
        best = {"frames": 0.0, "windows": 0.0, "bare": 0.0}
        for _ in range(ROUNDS):
            for name, rate in (
                (
                    "frames",
                    DENSE_SECONDS / predict(root, frames, "float32", DENSE_SECONDS, min_max_norm=False)["seconds"],
                ),
                ("windows", SECONDS / predict(root, windows, "float32", SECONDS)["seconds"]),
                ("bare", HOP_S * bare_network(windows, "float32", torch.device("cpu"))),
            ):
                best[name] = max(best[name], rate)
    return [
        {"name": f"prediction, three dense networks, against {words}", "unit": "s of audio/s",
         "ours": best["frames"], "plain": best[name], "ratio": best["frames"] / best[name]}
        for name, words in (("windows", "ResNet-18 windows"), ("bare", "the bare ResNet-18"))
    ]  # fmt: skip


def memory(long_s: float = 6 * 3600, short_s: float = 600) -> dict[str, object]:
    """Compare peak memory of a 6-hour and a 10-minute 48 kHz recording.

    The hop is the window, so that the network computes as little as possible; reading and buffers are the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model_path = make_model(root, resnet=18)
        peaks = {seconds: predict(root, model_path, "bfloat16", seconds, hop_s=WINDOW_S)["peak_mb"]
                 for seconds in (short_s, long_s)}  # fmt: skip
    return {"name": "peak memory, 6 h against 10 min", "unit": "MB", "ours": peaks[long_s], "plain": peaks[short_s],
            "ratio": peaks[long_s] / peaks[short_s], "peak_mb": peaks[long_s]}  # fmt: skip


def make_model(root: Path, resnet: int = 18) -> Path:
    """Write an untrained model file: speed does not depend on the weights."""
    torch.manual_seed(0)
    path = root / "ANIMAL-SPOT.pk"
    network = build_network(resnet_size=resnet, max_pool=2, conv_kernel_size=7, num_classes=2)
    save_model(path, network, OPTS, {"noise": 0, "target": 1})
    return path


def make_dense_model(root: Path) -> Path:
    """Write an untrained dense ensemble for calls of a second."""
    torch.manual_seed(0)
    path = root / "dense.pk"
    opts = DataOpts(
        sr=12000, n_fft=512, hop_length=128, n_freq_bins=64, fmin=50, fmax=4000, freq_compression="mel",
        normalisation="background", background_s=30,
    )  # fmt: skip
    dilations = dilations_for((1.0 + 0.3) * opts.sr / opts.hop_length)
    network = DenseNetwork(
        members=3, n_freq_bins=64, channels=CHANNELS, width=WIDTH, dilations=dilations, num_classes=2
    )
    save_dense_model(path, network.eval(), opts, {"noise": 0, "target": 1})
    return path


def predict(
    root: Path, model_path: Path, precision: str, seconds: float, hop_s: float = HOP_S, *, min_max_norm: bool = True
) -> dict[str, float]:
    """Run `hum-predictor run` in a process of its own; return windows/s without its start, and its peak memory."""
    audio = root / f"{seconds:g}.wav"
    if not audio.exists():
        _write_noise(audio, seconds)
    output = root / "out"
    cfg = root / "predict.cfg"
    cfg.write_text(
        f"model_path={model_path}\noutput_dir={output}\ninput_file={audio}\nsequence_len={WINDOW_S}\nhop={hop_s}\n"
        f"min_max_norm={str(min_max_norm).lower()}\ndevice=cpu\nprecision={precision}\n"
    )
    for old in output.glob("*"):
        old.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_prediction", str(cfg)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def bare_network(model_path: Path, precision: str, device: torch.device) -> float:
    """Return windows/s of the network as the model file holds it, input ready in memory, at the best batch size."""
    model = load_model(model_path, jit=False)
    network = torch.nn.Sequential(model.encoder, model.classifier).eval().to(memory_format=torch.channels_last)
    best = 0.0
    for batch in BARE_BATCHES:
        with torch.inference_mode():
            inputs = torch.rand(batch, 1, 17, 128).contiguous(memory_format=torch.channels_last)

            def call(inputs: torch.Tensor = inputs) -> None:
                with autocast(device, precision):
                    network(inputs)

            call()
            best = max(best, batch * 8 / _seconds(lambda call=call: [call() for _ in range(8)]))  # type: ignore[misc]
    return best


def plain_loop(root: Path, model_path: Path) -> float:
    """Return windows/s of the plain loop."""
    audio = root / "plain.wav"
    _write_noise(audio, PLAIN_SECONDS)
    model = load_model(model_path, jit=False)
    network = torch.nn.Sequential(model.encoder, model.classifier).eval()
    return max(
        len(scores) / seconds
        for seconds, scores in (
            _timed(lambda: score_plainly(audio, network, OPTS, WINDOW_S, HOP_S)) for _ in range(ROUNDS)
        )
    )


def _write_noise(path: Path, seconds: float) -> None:
    rng = np.random.default_rng(0)
    minute = (rng.normal(0, 0.05, 48000 * 60) * 32767).astype(np.int16)
    with soundfile.SoundFile(path, "w", 48000, 1, "PCM_16") as sound:
        for start in range(0, int(seconds), 60):
            sound.write(minute[: int(min(60, seconds - start) * 48000)])


def _timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _measured_run(cfg: Path) -> None:
    """Run the predictor in this process and print what it cost."""
    from hum_predictor.run import run_prediction
    from hum_shared.scores import read_score_meta

    warm = cfg.with_name("warm.cfg")  # first calls compile kernels and load libraries
    audio = cfg.with_name("warm.wav")
    _write_noise(audio, 5)
    text = cfg.read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("input_file", "output_dir"))]
    warm.write_text("\n".join([*lines, f"input_file={audio}", f"output_dir={cfg.with_name('warm')}", ""]))
    for old in cfg.with_name("warm").glob("*"):
        old.unlink()
    run_prediction(warm)
    seconds = _seconds(lambda: run_prediction(cfg))
    (track,) = cfg.with_name("out").glob("*.parquet")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = read_score_meta(track).n_rows
    print(json.dumps({"seconds": seconds, "windows_per_s": rows / seconds, "peak_mb": peak_mb}))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _measured_run(Path(sys.argv[1]))
    else:
        print(json.dumps([*run(), *dense(), memory()], indent=2))
