"""Scoring a recording block by block: audio in, class probabilities per window out, memory flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hum_shared.command import is_gpu_memory
from hum_shared.errors import MachineError
from hum_shared.grid import WindowGrid
from hum_shared.model.device import autocast
from hum_shared.model.folded import folded, with_winograd
from hum_shared.model.front_end import FrontEnd
from hum_shared.model.model_parts import LoadedModel
from hum_shared.model.network import Encoder
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_shared.read_ahead import read_ahead

Blocks = Iterable[NDArray[np.float32]]
_Scored = tuple[Tensor, Tensor | None]  # probabilities, and pooled features where they are wanted
Job = TypeVar("Job")

_CPU_BATCH = 64  # the fastest where it was measured: benchmarks/README.md
_CUDA_BATCH = 512


@dataclass(frozen=True)
class ScoredRows:
    """Scores of consecutive windows.

    Attributes
    ----------
    first
        Index of the first window.
    probs
        Shape (n, classes), float32, rows sum to 1.
    latent
        Pooled features before the linear layer, shape (n, channels); None unless asked for.
    """

    first: int
    probs: NDArray[np.float32]
    latent: NDArray[np.float32] | None


class WindowScorer:
    """A model on a device: windows of audio to probabilities.

    Parameters
    ----------
    model
        What :func:`~hum_shared.model.model_file.load_model` gave.
    min_max_norm
        See :class:`~hum_shared.model.front_end.FrontEnd`.
    precision
        ``float32``, or ``bfloat16`` for autocast of the network; the front end is always float32.
    batch_size
        Windows at a time; 0: chosen for the device, and made smaller where its memory is.
    threads
        CPU only: how many batches :func:`score_recording` computes at a time, each on one thread. That keeps
        CPUs busier than splitting the small operations of one batch, and no thread waits for another.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        min_max_norm: bool,
        device: torch.device,
        precision: str,
        batch_size: int = 0,
        threads: int = 1,
    ) -> None:
        self.device, self.precision = device, precision
        self.threads = threads if device.type == "cpu" else 1
        self.batch_size = batch_size or (_CUDA_BATCH if device.type == "cuda" else _CPU_BATCH)
        self._is_chosen = batch_size > 0
        self._at_most: int | None = None  # windows that the GPU's memory takes; None: all so far
        self.stream = SpectrogramStream(model.data_opts) if model.data_opts.background_s is not None else None
        self.front_end = FrontEnd(model.data_opts, min_max_norm=min_max_norm).to(device).eval()
        self.encoder = _fastest(model, device, precision).eval()
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self.classifier = model.classifier.to(device).eval()
        self._pooling = model.pooling

    @torch.inference_mode()
    def score(self, windows: Tensor, *, latent: bool = False) -> tuple[Tensor, Tensor | None]:
        """Map windows (N, samples) of audio to probabilities (N, classes), float32, and pooled features."""
        return self._in_parts(lambda part: self._scored(self.front_end(part.to(self.device)), latent), windows)

    @torch.inference_mode()
    def score_inputs(self, inputs: Tensor, *, latent: bool = False) -> tuple[Tensor, Tensor | None]:
        """Map network input (N, 1, T, F) to probabilities (N, classes), float32, and pooled features."""
        return self._in_parts(lambda part: self._scored(part.to(self.device), latent), inputs)

    def _in_parts(self, score: Callable[[Tensor], _Scored], inputs: Tensor) -> _Scored:
        """Score as many inputs at a time as the GPU's memory takes, where nobody has said how many."""
        found: list[_Scored] = []
        while inputs.shape[0] or not found:
            part = inputs[: self._at_most]
            try:
                found.append(score(part))
            except RuntimeError as error:
                if not is_gpu_memory(error):
                    raise
                if self._is_chosen:
                    raise MachineError(
                        f"out of GPU memory with batch_size {self.batch_size}. Set a smaller batch_size."
                    ) from None
                if part.shape[0] <= 1:
                    raise MachineError(
                        "out of GPU memory with a single window. Use a GPU with more memory, or device=cpu."
                    ) from None
                self._at_most = part.shape[0] // 2
            else:
                inputs = inputs[part.shape[0] :]
                continue
            torch.cuda.empty_cache()  # not where the error is known: its stack holds tensors
        if len(found) == 1:
            return found[0]
        pooled = [one for _, one in found if one is not None]
        return torch.cat([probs for probs, _ in found]), torch.cat(pooled) if pooled else None

    def _scored(self, inputs: Tensor, latent: bool) -> _Scored:
        with autocast(self.device, self.precision):
            features = self.encoder(inputs.contiguous(memory_format=torch.channels_last))
            logits = self.classifier(features)
        pooled = None
        if latent:
            pooled = features.float().mean((2, 3)) if self._pooling == "avg" else features.float().amax((2, 3))
        return torch.softmax(logits.float(), dim=1), pooled


def _fastest(model: LoadedModel, device: torch.device, precision: str) -> nn.Module:
    """Return the encoder, on CPUs a copy that computes the same with less work; GPUs and TorchScript as it is."""
    if device.type != "cpu" or not isinstance(model.encoder, Encoder):
        return model.encoder.to(device)
    encoder = folded(model.encoder.cpu())
    if precision == "bfloat16":  # converted once, not by autocast for every batch
        return encoder.bfloat16()
    return with_winograd(encoder, model.data_opts.input_bins)


def score_recording(
    blocks: Blocks, grid: WindowGrid, scorer: WindowScorer, *, latent: bool = False
) -> Iterator[ScoredRows]:
    """Score all windows of a recording whose audio comes in blocks.

    Batches are cut at the same windows whatever the blocks' sizes, so that the numbers do not depend on them.

    Parameters
    ----------
    blocks
        Mono audio at the model's rate, in order; together `grid.frames` samples.
    grid
        The windows.

    Yields
    ------
    ScoredRows
        Consecutive, from window 0 to `grid.n_windows`.
    """
    stream = scorer.stream
    # With background normalisation windows are cut from the recording's spectrogram, else from its audio.
    batches = (
        _batches(blocks, grid, scorer.batch_size)
        if stream is None
        else window_inputs(stream.rows(blocks, grid.frames), grid, stream.opts.hop_length, scorer.batch_size)
    )
    score_windows = scorer.score if stream is None else scorer.score_inputs
    if scorer.device.type == "cuda":
        batches = read_ahead(batches)  # made here while the GPU computes

    def score(batch: tuple[int, Tensor]) -> ScoredRows:
        first, windows = batch
        probs, pooled = score_windows(windows, latent=latent)
        return ScoredRows(first, probs.cpu().numpy(), None if pooled is None else pooled.cpu().numpy())

    yield from in_threads(score, batches, scorer.threads)


def in_threads(score: Callable[[Job], ScoredRows], jobs: Iterable[Job], threads: int) -> Iterator[ScoredRows]:
    """Yield the scores of jobs in their order, `threads` computed at a time, each on one thread.

    What makes the jobs runs on one thread too: it would else hold up the others, spinning at every barrier.
    """
    if threads == 1:
        yield from map(score, jobs)
        return
    # One thread per operation is a setting of the calling thread, but for MKL, whose setting is the process's.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads, "scorer", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[ScoredRows]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(score, job))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(before)


def window_inputs(rows: Iterable[Tensor], grid: WindowGrid, hop: int, batch_size: int) -> Iterator[tuple[int, Tensor]]:
    """Cut windows from a recording's spectrogram.

    Window i holds the ``length // hop`` rows (at least one) from row ``round(start / hop)`` on, moved back by what
    reaches beyond the last row. A recording shorter than a window is its own, only, shorter window.

    Parameters
    ----------
    rows
        Blocks (t, F), consecutive.
    grid
        The windows, in samples.
    hop
        Samples per row.

    Yields
    ------
    first, inputs
        Index of the first window, and network input (n, 1, T, F).
    """
    n_rows = -(-grid.frames // hop)
    span = min(max(1, grid.length // hop), n_rows)
    starts = np.minimum((grid.starts() + hop // 2) // hop, n_rows - span)
    buffer, offset, done = torch.empty(0), 0, 0
    for block in rows:
        buffer = torch.cat((buffer, block)) if buffer.numel() else block
        while done < len(starts):
            chosen = starts[done : done + batch_size]
            if chosen[-1] + span > offset + len(buffer):
                break
            at = torch.from_numpy(chosen - offset)[:, None] + torch.arange(span)
            yield done, buffer[at][:, None]
            done += len(chosen)
        received = offset + len(buffer)  # the next window may start behind it
        keep_from = min(int(starts[done]), received) if done < len(starts) else received
        if keep_from > offset:
            buffer, offset = buffer[keep_from - offset :].clone(), keep_from


def _batches(blocks: Blocks, grid: WindowGrid, batch_size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield (index of the first window, windows (n, length)); the buffer holds one block and one batch."""
    span = (batch_size - 1) * grid.step + grid.length  # samples that a full batch covers
    buffer = np.empty(0, dtype=np.float32)
    start = done = 0  # sample at which the buffer starts; windows yielded
    for block in blocks:
        buffer = np.concatenate((buffer, block)) if buffer.size else block
        while grid.count - done >= batch_size and done * grid.step + span <= start + buffer.size:
            yield done, _windows(buffer, done * grid.step - start, grid, batch_size)
            done += batch_size
        keep_from = min(done * grid.step, grid.frames if grid.tail is None else grid.tail)
        if keep_from > start:
            buffer = buffer[keep_from - start :].copy()  # a view would keep the whole block alive
            start = keep_from
    if start + buffer.size != grid.frames:
        raise ValueError(f"expected {grid.frames} samples of audio, got {start + buffer.size}")
    if done < grid.count:
        yield done, _windows(buffer, done * grid.step - start, grid, grid.count - done)
    if grid.tail is not None:
        yield grid.count, torch.from_numpy(buffer[grid.tail - start :][None].copy())


def _windows(buffer: NDArray[np.float32], offset: int, grid: WindowGrid, count: int) -> Tensor:
    audio = torch.from_numpy(buffer[offset:])
    # A recording shorter than a window is its own, only, shorter window.
    return audio.unfold(0, min(grid.length, audio.shape[0]), grid.step)[:count]
