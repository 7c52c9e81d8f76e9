"""How fast features are, beside a plain librosa loop over the selections written from the specification."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.recordings import recording_features
from hum_shared.selections import Selection

SAMPLE_RATE = 48_000
SETTINGS = FeatureSettings()
_ROUNDS = 3


def run(seconds: float = 60) -> dict[str, float | str]:
    """Time both on one synthetic recording of `seconds`, in this process, on one core; best of three.

    Ours also measures what the plain loop does not: duration and level above the surrounding second.
    """
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        path = Path(folder) / "387_20201207_cut.wav"
        selections = _write_recording(path, seconds)
        ours_s, ours = _best(lambda: recording_features(path, selections, SETTINGS))
        plain_s, plain = _best(lambda: plain_features(path, selections))
    ours = ours[:, : plain.shape[1]]
    if not np.allclose(ours, plain, rtol=1e-4, atol=1e-4):
        raise AssertionError(f"features differ from the plain loop's by up to {np.abs(ours - plain).max():g}")
    return {
        "name": "features",
        "unit": "selections/s",
        "ours": len(selections) / ours_s,
        "plain": len(selections) / plain_s,
        "ratio": plain_s / ours_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def plain_features(path: Path, selections: list[Selection]) -> NDArray[np.float64]:
    """Return the features of each selection by itself, as one would write it from the specification."""
    return np.array([_plain_row(path, selection) for selection in selections])


def _plain_row(path: Path, selection: Selection) -> list[float]:
    start, stop = round(selection.begin_s * SAMPLE_RATE), round(selection.end_s * SAMPLE_RATE)
    sound, sr = soundfile.read(path, start=start, stop=stop, dtype="float32", always_2d=True)
    y = sound.mean(axis=1)
    psd = np.abs(librosa.stft(y, n_fft=SETTINGS.n_fft, hop_length=SETTINGS.hop)) ** 2
    freqs = librosa.fft_frequencies(sr=sr, n_fft=SETTINGS.n_fft)
    inside = (freqs >= selection.low_hz) & (freqs <= selection.high_hz)
    psd, freqs = psd[inside].astype(np.float64), freqs[inside]
    times = librosa.frames_to_time(np.arange(psd.shape[1]), sr=sr, hop_length=SETTINGS.hop)
    envelope, spectrum = psd.sum(axis=0), psd.mean(axis=1)
    t5, t25, t75, t95 = (_plain_quantile(envelope, times, q) for q in (0.05, 0.25, 0.75, 0.95))
    f5, f25, f50, f75, f95 = (_plain_quantile(spectrum, freqs, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    frame_entropies = _plain_entropy(psd)
    row = [t95 - t5, t75 - t25, f50, f5, f25, f75, f95, f75 - f25, f95 - f5]
    row += [float(frame_entropies.mean()), float(_plain_entropy(spectrum))]
    mfcc = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=SETTINGS.n_mfcc, n_fft=SETTINGS.n_fft, hop_length=SETTINGS.hop)
    mode = "interp" if mfcc.shape[1] >= 9 else "nearest"
    for part in (mfcc, librosa.feature.delta(mfcc, mode=mode), librosa.feature.delta(mfcc, order=2, mode=mode)):
        for coefficient in part:
            row += [float(coefficient.mean()), float(coefficient.std(ddof=1)) if len(coefficient) > 1 else 0.0]
    return row


def _plain_quantile(weights: NDArray[np.float64], coordinates: NDArray[np.float64], q: float) -> float:
    share = np.cumsum(weights) / weights.sum()
    i = int(np.argmax(share >= q))
    if i == 0:
        return float(coordinates[0])
    return float(np.interp(q, share[i - 1 : i + 1], coordinates[i - 1 : i + 1]))


def _plain_entropy(power: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(power / (power.sum(axis=0) + 1e-12), 1e-12, 1)
    return -(p * np.log2(p)).sum(axis=0)


def _write_recording(path: Path, seconds: float) -> list[Selection]:
    """Write hum-like tones in noise and return a selection about twice a second, as dense as a CNN's."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(0.08 / h * np.sin(2 * np.pi * h * (300 * t + 20 * np.sin(t))) for h in range(1, 9))
    soundfile.write(path, (tones + rng.normal(0, 0.01, len(t))).astype(np.float32), SAMPLE_RATE, subtype="PCM_16")
    begins = np.sort(rng.uniform(0, seconds - 2, int(2 * seconds)))
    return [Selection(b, b + d, 0, 4000) for b, d in zip(begins, rng.uniform(0.3, 1.8, len(begins)), strict=True)]


def _best(call: Callable[[], NDArray[np.float64]]) -> tuple[float, NDArray[np.float64]]:
    result, best_s = call(), float("inf")  # the first call warms up caches and lazy imports
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        result = call()
        best_s = min(best_s, time.perf_counter() - start)
    return best_s, result


if __name__ == "__main__":
    print(run())
