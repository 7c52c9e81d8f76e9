"""What the dense network learns from: chunks of a few seconds cut from spectrograms, a label and a weight per frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hum_shared.files import atomic_path, sha256_json
from hum_shared.intervals import merged
from hum_shared.model.front_end import DataOpts
from hum_shared.model.spectrogram_stream import BACKGROUND_VERSION, SpectrogramStream
from hum_trainer.augmentation import PITCH, TIME, mask, ratios, shift_pitch
from hum_trainer.event_loop import Negative
from hum_trainer.frame_backgrounds import with_noise, with_other_backgrounds
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.mapped import from_cache, mapped
from hum_trainer.memory import free_memory, require_room
from hum_trainer.recording_audio import audio_blocks
from hum_trainer.shares import AROUND_CALLS, on_negatives

MOST_WEIGHT = 4.0
"""Of a frame in a short call or pause."""
EDGE_WEIGHT = 0.3
"""Weight of a frame within half a frame of an edge: a person's edge is no more certain than that."""


@dataclass(frozen=True)
class Chunks:
    """Where chunks lie: index of the stretch, and their middle in seconds of the recording; shapes (n,)."""

    stretch: NDArray[np.int64]
    centre_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stretch)


class ChunkDrawer:
    """Draws chunks: half of them hold (a part of) a call, half lie anywhere, of these some on hard negatives.

    Parameters
    ----------
    stretches
        At least one with a call.
    chunk_s
        Length of a chunk; it may reach beyond its stretch.
    """

    def __init__(self, stretches: Sequence[Stretch], chunk_s: float) -> None:
        self._chunk_s = chunk_s
        self._starts_s = np.array([part.start_s for part in stretches])
        self._lengths_s = np.array([part.dur_s for part in stretches])
        self._calls = _places((index, *call) for index, part in enumerate(stretches) for call in part.calls.tolist())

    def draw(self, n: int, rng: np.random.Generator, negatives: Sequence[Negative] = ()) -> Chunks:
        """Return `n` chunks.

        Parameters
        ----------
        negatives
            Hard negatives: index of the stretch, start and end in seconds of the recording.
        """
        stretch = rng.choice(len(self._lengths_s), n, p=self._lengths_s / self._lengths_s.sum())
        centre_s = self._starts_s[stretch] + rng.random(n) * self._lengths_s[stretch]
        kind, where, offset = rng.random(n), rng.random(n), (rng.random(n) - 0.5) * self._chunk_s
        share = on_negatives(len(negatives), len(self._calls))
        for rows, places in (
            (np.flatnonzero(kind < AROUND_CALLS), self._calls),
            (np.flatnonzero(kind > 1 - share), _places(negatives)),
        ):
            if len(places):
                chosen = places[rng.integers(len(places), size=len(rows))]
                stretch[rows] = chosen[:, 0].astype(np.int64)
                centre_s[rows] = chosen[:, 1] + where[rows] * (chosen[:, 2] - chosen[:, 1]) + offset[rows]
        return Chunks(stretch, centre_s)


def _places(places: Iterable[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.array(list(places), dtype=np.float64).reshape(-1, 3)


class Spectrograms:
    """Background-normalised spectrograms of recordings, each computed once.

    Parameters
    ----------
    opts
        With `background_s`.
    cache_dir
        Where to keep them, named by content and settings, and map them from; None keeps them in memory.
    """

    def __init__(self, opts: DataOpts, cache_dir: Path | None) -> None:
        self._opts, self._cache_dir = opts, cache_dir
        self._stream = SpectrogramStream(opts)
        self._kept: dict[str, Tensor] = {}

    def require_room(self, recordings: Sequence[LabelledRecording]) -> None:
        """Check that the spectrograms of all these fit into memory, where they are to be kept there.

        Raises
        ------
        MachineError
            When they do not.
        """
        if self._cache_dir is None:
            dur_s = sum(recording.dur_s for recording in recordings)
            n_bytes = 2 * self._opts.n_freq_bins * dur_s * self._opts.sr / self._opts.hop_length
            require_room(n_bytes, f"the spectrograms of {dur_s / 3600:.3g} h of recordings", free_memory())

    def of(self, recording: LabelledRecording) -> Tensor:
        """Return rows (T, F) of network input, float16."""
        if recording.name not in self._kept:
            self._kept[recording.name] = self._read(recording)
        return self._kept[recording.name]

    def _read(self, recording: LabelledRecording) -> Tensor:
        if self._cache_dir is None:
            return self._compute(recording)
        key = sha256_json([BACKGROUND_VERSION, recording.sha256, self._opts.as_dict()])
        path = self._cache_dir / f"{key}.npy"
        return torch.from_numpy(from_cache(path, partial(self._write, recording), lambda path: mapped(path, "c")))

    def _write(self, recording: LabelledRecording, path: Path) -> None:
        """Write a spectrogram as it is computed: it may be larger than the memory."""
        audio, n_samples = audio_blocks(recording, self._opts.sr)
        n_rows = self._stream.grid(n_samples).n_rows
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for rows in self._stream.rows(audio, n_samples):
                if file.tell() == 0:
                    header = {"descr": "<f2", "fortran_order": False, "shape": (n_rows, rows.shape[1])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(rows.half().numpy().tobytes())

    def _compute(self, recording: LabelledRecording) -> Tensor:
        return torch.cat([rows.half() for rows in self._stream.rows(*audio_blocks(recording, self._opts.sr))])


@dataclass(frozen=True)
class ChunkMaker:
    """Cuts and labels chunks; varies time and pitch by 10 %, mixes in other backgrounds, masks.

    Attributes
    ----------
    stretches
        Where chunks may lie. What a chunk shows outside its stretch is background, and weighs nothing.
    rows
        Recording name → spectrogram (T, F).
    hop_s
        Seconds per frame.
    frames
        Per chunk.
    spread
        Frames before and behind a call that show something of it, since they are longer than their hop.
    median_s
        Duration of a median call, where calls are of very different length. In a mean over frames the short ones, and
        short pauses, would hardly count, but each is to be found: a frame of a call or pause of duration d weighs
        √(median_s / d), 1 to `MOST_WEIGHT`. None: all weigh alike.
    hz
        Frequency of each bin, shape (F,).
    noise
        What chunks are nearly drowned in, see :func:`~hum_trainer.frame_backgrounds.stationary_noise`; shape (n, F).
        None: chunks are shown as they are, without any variation.
    """

    stretches: Sequence[Stretch]
    rows: Mapping[str, Tensor]
    hop_s: float
    frames: int
    spread: int
    median_s: float | None
    hz: Tensor
    noise: Tensor | None

    def batch(self, chunks: Chunks, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs (N, T, F), labels (N, T) of 0 and 1, and weights (N, T)."""
        n = len(chunks)
        rate = ratios(n, TIME, rng) if self.noise is not None else torch.ones(n)
        shown = self._shown(chunks, rate.numpy().astype(np.float64))
        places = [*zip(chunks.stretch.tolist(), shown, strict=True)]
        inputs = torch.stack([self._cut(*place) for place in places])
        labelled = zip(*(self._labels(*place) for place in places), strict=True)
        labels, weights = (torch.from_numpy(np.stack(parts)) for parts in labelled)
        if self.noise is not None:
            inputs = shift_pitch(inputs, self.hz, ratios(n, PITCH, rng), nearest=True)
            tapes = [self.stretches[index].recording.tape for index, _ in places]
            inputs = with_other_backgrounds(inputs, labels, self.spread, tapes, rng)
            inputs = with_noise(inputs, labels * (weights > 0), self.noise, rng)
            inputs = mask(inputs, rng)
        return inputs, labels, weights

    def _shown(self, chunks: Chunks, rate: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the frames that chunks show, shape (N, T): frames of recordings, counted from 0.

        Whole ones, so that noise is as rough here as where a recording is scored.
        """
        offset = np.arange(self.frames) - self.frames // 2
        centre = np.floor(chunks.centre_s / self.hop_s)
        return (centre[:, None] + np.rint(rate[:, None] * offset)).astype(np.int64)

    def _cut(self, index: int, shown: NDArray[np.int64]) -> Tensor:
        """Return the spectrogram of frames, shape (T, F)."""
        rows = self.rows[self.stretches[index].recording.name]
        inside = torch.from_numpy(self._inside(index, shown))
        cut = torch.zeros(len(shown), rows.shape[1])
        cut[inside] = rows[torch.from_numpy(shown)[inside]].float()
        return cut

    def _inside(self, index: int, shown: NDArray[np.int64]) -> NDArray[np.bool_]:
        stretch = self.stretches[index]
        low, high = round(stretch.start_s / self.hop_s), round(stretch.end_s / self.hop_s)
        within: NDArray[np.bool_] = (shown >= low) & (shown < min(high, len(self.rows[stretch.recording.name])))
        return within

    def _labels(self, index: int, shown: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return label and weight of frames, shapes (T,)."""
        at_s = (shown + 0.5) * self.hop_s
        edges = merged(self.stretches[index].recording.calls).ravel()
        place = np.searchsorted(edges, at_s, side="right")  # odd within a call
        weights = self._inside(index, shown).astype(np.float32)
        if self.median_s is not None:
            lasts_s = np.concatenate(([np.inf], np.diff(edges), [np.inf]))[place]
            weights *= np.clip(np.sqrt(self.median_s / lasts_s), 1.0, MOST_WEIGHT)
        if len(edges):
            right = place.clip(1, len(edges) - 1)
            nearest = np.minimum(np.abs(at_s - edges[right - 1]), np.abs(at_s - edges[right]))
            weights *= np.where(nearest < self.hop_s / 2, EDGE_WEIGHT, 1.0)
        return (place % 2).astype(np.float32), weights.astype(np.float32)
