"""Spectrogram pictures of dataset clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from hum_shared.audio import Samples, average_channels, probe, read_frames

RANGE_DB = 80.0
_WINDOW_S = 0.04  # fine enough in frequency for a hum's harmonics
_SILENCE = 1e-20


def log_power(samples: Samples, sample_rate: int) -> tuple[NDArray[np.float64], float]:
    """Compute a spectrogram in dB below its maximum.

    The window is the power of two nearest to 40 ms, but at most a quarter of the clip, with 75 % overlap.

    Parameters
    ----------
    samples
        Mono, shape (n,), n ≥ 1.
    sample_rate
        Hz.

    Returns
    -------
    db : ndarray, shape (frequencies, frames)
        From -80 to 0; rows from 0 Hz to half the sample rate. Digital silence gives 0 everywhere.
    hop_s
        Seconds between frames; the first is centred at 0 s.
    """
    longest = max(16.0, min(_WINDOW_S * sample_rate, len(samples) / 4))
    n_fft = 2 ** round(np.log2(longest))
    hop = n_fft // 4
    stft = ShortTimeFFT(hann(n_fft, sym=False), hop=hop, fs=sample_rate)
    padded = np.pad(samples.astype(np.float64), (0, max(0, n_fft - len(samples))))
    power = np.maximum(stft.spectrogram(padded, p0=0, p1=1 + len(samples) // hop), _SILENCE)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB), hop / sample_rate


class SpectrogramPainter:
    """Draws clips one after the other on one canvas: neither time nor memory goes into building figures."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(5, 3.2), dpi=100)
        FigureCanvasAgg(self._figure)  # attaches itself: no pyplot, no global state
        self._axes = self._figure.add_axes((0.17, 0.15, 0.65, 0.75))
        self._axes.set_xlabel("Time (s)")
        self._axes.set_ylabel("Frequency (Hz)")
        self._image = self._axes.imshow(
            np.zeros((2, 2)),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-RANGE_DB,
            vmax=0,
            interpolation="nearest",
        )
        self._figure.colorbar(self._image, cax=self._figure.add_axes((0.85, 0.15, 0.03, 0.75)), label="dB")
        # parse_math: a `$` in a tape's name is a plain character.
        self._title = self._axes.set_title("", fontsize=7, parse_math=False)

    def paint(self, clip: Path, picture: Path) -> None:
        """Write the spectrogram of a WAV file (channels averaged) as PNG: magma, seconds and Hz.

        Raises
        ------
        AudioError
            When the clip cannot be read.
        """
        info = probe(clip)
        db, hop_s = log_power(average_channels(read_frames(clip)), info.sample_rate)
        nyquist_hz = info.sample_rate / 2
        half_bin_hz = nyquist_hz / (len(db) - 1) / 2
        self._image.set_data(db)
        # Pixels are centred on their frame and bin.
        self._image.set_extent((-hop_s / 2, (db.shape[1] - 0.5) * hop_s, -half_bin_hz, nyquist_hz + half_bin_hz))
        self._axes.set_xlim(0, info.dur_s)
        self._axes.set_ylim(0, nyquist_hz)
        self._title.set_text(clip.stem)
        self._figure.savefig(picture, format="png")
