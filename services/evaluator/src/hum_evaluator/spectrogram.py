"""Spectrograms for eyes: decibels of a stretch of sound, and the picture of them."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hum_shared.audio import Samples

Decibels = NDArray[np.float64]

_WINDOW_S = 0.03  # resolves the harmonics of a hum (100 Hz apart and more) and still its onset
_LEAST_RANGE_DB = 30.0
_MOST_RANGE_DB = 70.0
_COLOURS = "magma"


def spectrogram_db(samples: Samples, rate: int, columns: int, max_hz: float) -> Decibels:
    """Return the level over time and frequency.

    Parameters
    ----------
    samples
        Shape (n,), mono.
    rate
        Hz.
    columns
        How many points in time, evenly spread over the samples; at least 1.
    max_hz
        Frequencies up to this one, or half the rate, are kept.

    Returns
    -------
    ndarray, shape (frequencies, columns)
        dB relative to full scale, lowest frequency first; silence is −200 dB. Hann window of 30 ms to the next
        power of two, samples beyond both ends are 0.
    """
    size = 1 << int(np.ceil(np.log2(max(16.0, _WINDOW_S * rate))))
    padded = np.concatenate((np.zeros(size // 2), samples, np.zeros(size)))
    every_window = np.lib.stride_tricks.sliding_window_view(padded, size)
    window = np.hanning(size)
    kept = max(2, int(np.floor(min(max_hz, rate / 2) * size / rate)) + 1)
    # A column that stands for more than half a window takes the loudest of several: a click must not fall through.
    per_column = max(1, int(np.ceil(2 * len(samples) / (columns * size))))
    power = np.zeros((kept, columns))
    for turn in range(per_column):
        centres = ((np.arange(columns) + (turn + 0.5) / per_column) * len(samples) / columns).astype(np.int64)
        spectrum = np.fft.rfft(every_window[centres] * window, axis=1)[:, :kept].T
        power = np.maximum(power, np.abs(spectrum / window.sum() * 2) ** 2)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-20)), dtype=np.float64)


def shown_range_db(level: Decibels) -> tuple[float, float]:
    """Return the darkest and the brightest level of a picture: from the usual background up to the loudest."""
    loudest = float(level.max())
    background = float(np.percentile(level, 30))
    return float(np.clip(background, loudest - _MOST_RANGE_DB, loudest - _LEAST_RANGE_DB)), loudest


def picture(level: Decibels, width: int, height: int) -> bytes:
    """Return a spectrogram as a WebP picture, low frequencies at the bottom."""
    from PIL import Image

    darkest, brightest = shown_range_db(level)
    share = np.clip((level - darkest) / (brightest - darkest), 0, 1)
    pixels = _palette()[np.round(share[::-1] * 255).astype(np.uint8)]
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=60, method=4)
    return content.getvalue()


@cache
def _palette() -> NDArray[np.uint8]:
    import matplotlib as mpl

    colours = mpl.colormaps[_COLOURS](np.linspace(0, 1, 256))[:, :3]
    return np.round(np.asarray(colours) * 255).astype(np.uint8)
