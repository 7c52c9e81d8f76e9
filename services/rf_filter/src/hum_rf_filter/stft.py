"""Power spectrograms of many short segments at once.

The frames of all segments go through one Fourier transform per block, since a transform per segment spends most
of its time on getting started.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import librosa
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hum_shared.audio import Samples

_BLOCK_BYTES = 768 << 10  # of windowed frames: what a core's own cache holds while they are worked on


def frame_counts(lengths: NDArray[np.int64], n_fft: int, hop: int) -> NDArray[np.int64]:
    """Return how many centred frames segments of these lengths (samples, at least 1) have."""
    return 1 + (lengths + 2 * (n_fft // 2) - n_fft) // hop


def power_blocks(segments: Sequence[Samples], n_fft: int, hop: int) -> Iterator[NDArray[np.float64]]:
    """Yield ``|STFT|²`` of all segments, frame after frame, in blocks that need not end where a segment ends.

    Equal to ``abs(librosa.stft(segment, n_fft=n_fft, hop_length=hop)) ** 2`` of each segment: periodic Hann
    window, centred frames, silence beyond the segment's ends.

    Parameters
    ----------
    segments
        Mono segments, none of them empty.
    n_fft, hop
        Samples.

    Yields
    ------
    ndarray of float64, shape (frames of this block, 1 + n_fft // 2)
        Together as many frames as :func:`frame_counts` adds up to.
    """
    if not segments:
        return
    packed, starts = _packed_frames(segments, n_fft, hop)
    window = librosa.filters.get_window("hann", n_fft, fftbins=True)
    frames = np.lib.stride_tricks.sliding_window_view(packed, n_fft)
    block = max(1, _BLOCK_BYTES // (n_fft * 8))
    windowed = np.empty((block, n_fft))
    for first in range(0, len(starts), block):
        at = starts[first : first + block]
        # In double precision: rounding would drown bands 80 dB below the loudest, and those count in a cepstrum.
        part = windowed[: len(at)]
        part[:] = frames[at]
        part *= window
        spectrum = scipy.fft.rfft(part, overwrite_x=True)
        yield spectrum.real**2 + spectrum.imag**2


def _packed_frames(segments: Sequence[Samples], n_fft: int, hop: int) -> tuple[Samples, NDArray[np.int64]]:
    """Return the segments in one array, with the silence that centring adds, and where each frame starts."""
    lengths = np.array([len(segment) for segment in segments])
    ends = np.cumsum(lengths + 2 * (n_fft // 2))
    packed = np.zeros(ends[-1], dtype=np.float32)
    for segment, end in zip(segments, ends - n_fft // 2, strict=True):
        packed[end - len(segment) : end] = segment
    counts = frame_counts(lengths, n_fft, hop)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return packed, np.repeat(ends - lengths - 2 * (n_fft // 2), counts) + hop * number
