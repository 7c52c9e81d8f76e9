"""Scoring a recording frame by frame with a dense network: spectrogram once, then chunks that overlap by its reach."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hum_shared.command import is_gpu_memory
from hum_shared.errors import MachineError
from hum_shared.grid import FrameGrid
from hum_shared.model.dense import DenseNetwork, folded
from hum_shared.model.device import autocast
from hum_shared.model.front_end import DataOpts
from hum_shared.model.scoring import ScoredRows, in_threads
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_shared.model.time_major import TimeMajorNetwork
from hum_shared.read_ahead import read_ahead

_CPU_CHUNK, _CUDA_CHUNK = 4096, 65_536
_Chunk = tuple[int, int, int, Tensor]  # first frame, rows before it, its frames, rows


class FrameScorer:
    """A dense network on a device: audio to class probabilities per frame.

    Parameters
    ----------
    network, data_opts
        Of the model file.
    precision
        ``float32``, or ``bfloat16`` for autocast of the network; the front end is always float32.
    chunk
        Frames that the network computes at a time, besides the overlap; 0: chosen for the device, and made smaller
        where its memory is.
    threads
        CPU only: how many chunks are computed at a time, each on one thread.
    """

    def __init__(
        self,
        network: DenseNetwork,
        data_opts: DataOpts,
        *,
        device: torch.device,
        precision: str,
        chunk: int = 0,
        threads: int = 1,
    ) -> None:
        self.device, self.precision = device, precision
        self.threads = threads if device.type == "cpu" else 1
        self.chunk = chunk or (_CUDA_CHUNK if device.type == "cuda" else _CPU_CHUNK)
        self._is_chosen = chunk > 0
        self._at_most = sys.maxsize  # rows that the GPU's memory takes
        self.network = _fastest(network, device, precision)
        self._reach = network.reach
        self.stream = SpectrogramStream(data_opts)

    def grid(self, frames: int) -> FrameGrid:
        """Return the frames of a recording of `frames` samples at the model's rate."""
        return self.stream.grid(frames)

    def score(self, blocks: Iterable[NDArray[np.float32]], grid: FrameGrid) -> Iterator[ScoredRows]:
        """Score all frames of a recording; chunks equal the whole, up to rounding.

        Parameters
        ----------
        blocks
            Mono audio at the model's rate, in order; together `grid.frames` samples.

        Yields
        ------
        ScoredRows
            Consecutive, from frame 0 to `grid.n_rows`.
        """
        chunks: Iterable[_Chunk] = _chunks(self.stream.rows(blocks, grid.frames), grid.n_rows, self.chunk, self._reach)
        if self.device.type == "cuda":
            chunks = read_ahead(chunks)  # made here while the GPU computes
        yield from in_threads(self._score, chunks, self.threads)

    @torch.inference_mode()
    def logits(self, rows: Tensor) -> Tensor:
        """Map rows (T, F) of network input to logits (T, classes), float32, on the CPU."""
        if len(rows) <= self._at_most:
            try:
                with autocast(self.device, self.precision):
                    out: Tensor = self.network(rows[None].to(self.device))[0]
                return out.float().cpu()
            except RuntimeError as error:
                if not is_gpu_memory(error):
                    raise
                if self._is_chosen:
                    raise MachineError(
                        f"out of GPU memory with batch_size {self.chunk} (frames at a time). Set a smaller batch_size."
                    ) from None
                if len(rows) <= 4 * self._reach:
                    raise MachineError(
                        f"out of GPU memory with {len(rows)} frames. Use a GPU with more memory, or device=cpu."
                    ) from None
            torch.cuda.empty_cache()  # not where the error is known: its stack holds tensors
            self._at_most = len(rows) - 1
        middle = len(rows) // 2
        first = self.logits(rows[: middle + self._reach])[:middle]
        return torch.cat((first, self.logits(rows[middle - self._reach :])[self._reach :]))

    def _score(self, chunk: _Chunk) -> ScoredRows:
        first, lead, count, rows = chunk
        probs = torch.softmax(self.logits(rows)[lead : lead + count], dim=1)
        return ScoredRows(first, probs.numpy(), None)


def _fastest(network: DenseNetwork, device: torch.device, precision: str) -> nn.Module:
    if device.type == "cpu" and precision == "float32":
        return TimeMajorNetwork(network)
    return folded(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[no-any-return,call-overload]


def _chunks(blocks: Iterable[Tensor], n_rows: int, chunk: int, reach: int) -> Iterator[_Chunk]:
    """Yield (first frame, rows before it, its frames, rows): chunks with up to `reach` rows on either side."""
    kept = torch.empty(0)
    start = done = 0
    for block in blocks:
        kept = torch.cat((kept, block)) if kept.numel() else block
        while done < n_rows:
            stop = min(done + chunk, n_rows)
            end = min(stop + reach, n_rows)
            if start + len(kept) < end:
                break
            low = max(0, done - reach)
            yield done, done - low, stop - done, kept[low - start : end - start]
            done = stop
            keep_from = max(0, done - reach)
            kept, start = kept[keep_from - start :].clone(), keep_from
    if done != n_rows:
        raise ValueError(f"expected {n_rows} rows, got {start + len(kept)}")
