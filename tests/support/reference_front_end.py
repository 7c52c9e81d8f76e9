"""The front end written plainly from the spec with NumPy, in float64, one window at a time."""

import math

import numpy as np


def reference_input(audio, opts, min_max_norm):
    """Return network input (T, F) of one window of audio."""
    x = np.asarray(audio, dtype=np.float64)
    y = x.copy()
    y[1:] = x[1:] - opts["preemphases"] * x[:-1]
    n_fft, hop, sr = opts["n_fft"], opts["hop_length"], opts["sr"]
    if len(y) < n_fft:
        y = np.pad(y, (0, n_fft - len(y)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    rows = []
    for start in range(0, len(y) - n_fft + 1, hop):
        rows.append(np.abs(np.fft.rfft(y[start : start + n_fft] * window)) ** 2 / np.sum(window**2))
    power = np.array(rows)
    n_out = opts.get("n_freq_bins", opts.get("num_mels"))
    kind = opts["freq_compression"]
    if kind == "linear":
        low = math.floor(n_fft * opts["fmin"] / sr)
        high = min(n_fft - 1, math.ceil(n_fft * opts["fmax"] / sr))
        band = power[:, low:high]
        values = np.stack([band[:, (j * band.shape[1]) // n_out] for j in range(n_out)], axis=1)
    else:
        values = power @ _mel(opts, n_out).T
        if kind == "mfcc":
            with np.errstate(divide="ignore"):
                logs = 10 * np.log10(values)
            logs[np.isneginf(logs)] = 0
            n = np.arange(n_out)
            # DCT-II without normalisation, as its definition has it: 2 Σ x[n]·cos(πk(2n + 1)/2N).
            values = logs @ (2 * np.cos(np.pi * n[None] * (2 * n[:, None] + 1) / (2 * n_out)))[:, 1:33]
    level = 10 * np.log10(np.maximum(values, 10 ** (opts["min_level_db"] / 10)))
    if min_max_norm:
        span = level.max() - level.min()
        return (level - level.min()) / span if span > 0 else np.zeros_like(level)
    return np.clip((level - opts["ref_level_db"] - opts["min_level_db"]) / -opts["min_level_db"], 0, 1)


def _mel(opts, n_out):
    def to_mel(hz):
        return 2595 * math.log10(1 + hz / 700)

    low, high = to_mel(opts["fmin"]), to_mel(opts["fmax"])
    hz = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(low, high, n_out + 2)]
    bins = [math.floor((opts["n_fft"] + 1) * f / opts["sr"]) for f in hz]
    filters = np.zeros((n_out, opts["n_fft"] // 2 + 1))
    for i in range(n_out):
        left, centre, right = bins[i : i + 3]
        for k in range(left, centre):
            filters[i, k] = (k - left) / (centre - left)
        for k in range(centre, right):
            filters[i, k] = (right - k) / (right - centre)
    return filters
