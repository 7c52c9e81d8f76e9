"""One picture per recording: spectrogram above, score curve below."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hum_shared.audio import mono_blocks, probe
from hum_shared.decoders import noise_index
from hum_shared.files import atomic_path
from hum_shared.scores import ScoreMeta, ScoreTrack

_COLUMNS = 1600
_RANGE_DB = 80
_HEAD_BYTES = 4096  # a PNG's remarks stand before its pixels


def write_picture(path: Path, recording: Path, track: ScoreTrack, *, block_s: float, threshold: float) -> None:
    """Write a PNG of the whole recording with the probability of everything that is not noise.

    Memory does not depend on the recording's length: each column of pixels shows one frame of audio, and the
    score curve keeps the largest score per column.
    """
    level_db, fmax_hz = overview(recording, int(track.meta.front_end["n_fft"]), block_s=block_s)
    dur_s = track.meta.frames / track.meta.sample_rate
    figure = Figure(figsize=(16, 6), layout="constrained")
    FigureCanvasAgg(figure)
    spectrum, curve = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top = float(level_db.max(initial=-math.inf))
    spectrum.imshow(
        level_db, origin="lower", aspect="auto", cmap="magma", extent=(0, dur_s, 0, fmax_hz),
        vmin=top - _RANGE_DB, vmax=top,
    )  # fmt: skip
    spectrum.set_ylabel("frequency (Hz)")
    spectrum.set_title(track.meta.recording, parse_math=False)
    of_calls = 1 - track.probs[:, noise_index(sorted(track.meta.classes, key=track.meta.classes.__getitem__))]
    centre_s, score = _peaks((track.start_s + track.end_s) / 2, of_calls, dur_s)
    curve.plot(centre_s, score, linewidth=0.8)
    curve.axhline(threshold, linestyle="--", linewidth=0.8, color="grey")
    curve.set(xlim=(0, dur_s), ylim=(0, 1), xlabel="time (s)", ylabel="score")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Comment": _made_of(track.meta, threshold)})


def is_picture_of(path: Path, meta: ScoreMeta, threshold: float) -> bool:
    """Whether a picture was made of these scores with its line at this threshold."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _made_of(meta, threshold).encode() in file.read(_HEAD_BYTES)


def _made_of(meta: ScoreMeta, threshold: float) -> str:
    return f"scores {meta.inputs_sha256}, threshold {threshold!r};"


def overview(recording: Path, n_fft: int, *, block_s: float) -> tuple[NDArray[np.float32], float]:
    """Return levels (n_fft // 2 + 1, columns) in dB, evenly spread frames of a recording, and its Nyquist in Hz.

    A recording shorter than `n_fft` is padded with zeros and gives one column.
    """
    info = probe(recording)
    last = max(info.frames - n_fft, 0)
    starts = np.linspace(0, last, min(_COLUMNS, last // (n_fft // 2) + 1)).astype(np.int64)
    window = np.hanning(n_fft).astype(np.float32)
    columns: list[NDArray[np.float32]] = []
    buffer, position = np.empty(0, dtype=np.float32), 0
    for block in mono_blocks(recording, block_s):
        buffer = np.concatenate((buffer, block))
        while len(columns) < len(starts) and starts[len(columns)] + n_fft <= position + buffer.size:
            at = int(starts[len(columns)]) - position
            columns.append(_level_db(buffer[at : at + n_fft] * window))
        keep = min(buffer.size, int(starts[min(len(columns), len(starts) - 1)]) - position)
        buffer, position = buffer[max(keep, 0) :].copy(), position + max(keep, 0)
    if not columns:
        columns.append(_level_db(np.pad(buffer, (0, n_fft - buffer.size)) * window))
    return np.stack(columns, axis=1), info.sample_rate / 2


def _level_db(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    power = np.abs(np.fft.rfft(frame)) ** 2
    level: NDArray[np.float32] = (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)
    return level


def _peaks(
    centre_s: NDArray[np.float64], score: NDArray[np.float32], dur_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    if len(score) <= 2 * _COLUMNS:
        return centre_s, score
    column = np.minimum((centre_s / dur_s * _COLUMNS).astype(np.int64), _COLUMNS - 1)
    first = np.flatnonzero(np.diff(column, prepend=-1))
    return centre_s[first], np.maximum.reduceat(score, first)
