"""What the networks of a dense training have in common: front end, reach, spectrograms, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hum_shared.decoders import Windows
from hum_shared.model.dense import DenseNetwork, dilations_for
from hum_shared.model.device import autocast
from hum_shared.model.front_end import DataOpts
from hum_trainer import mining
from hum_trainer.call_measures import durations_and_gaps, usual_duration_s
from hum_trainer.corpus_task import CLASSES, CorpusTask
from hum_trainer.event_loop import Negative
from hum_trainer.event_measures import EventOutcome, ScoredStretch, event_outcome
from hum_trainer.frame_backgrounds import stationary_noise
from hum_trainer.frame_chunks import Spectrograms
from hum_trainer.front_end_options import data_opts
from hum_trainer.labelled_recordings import Stretch
from hum_trainer.run_state import device_and_precision

CONTEXT_S = 0.3
"""What a frame's score looks at besides the length of a median call."""
CHUNK_CONTEXTS, CHUNK_FRAMES = 3, (192, 512)
"""Frames of a chunk: this many times the context, within these limits."""
_STRETCH_FRAMES = 8192  # of a stretch that are scored at a time


@dataclass(frozen=True)
class FrameTask:
    """What all networks of a run have in common.

    Attributes
    ----------
    median_s
        Duration of a median call, where a tenth of the calls are much shorter, else None; see
        :class:`~hum_trainer.frame_chunks.ChunkMaker`.
    chunk_frames
        Length of a training example.
    noise
        What examples are nearly drowned in, see :class:`~hum_trainer.frame_chunks.ChunkMaker`; None: they are not
        varied.
    """

    task: CorpusTask
    opts: DataOpts
    spectrograms: Spectrograms
    dilations: Sequence[int]
    median_s: float | None
    chunk_frames: int
    noise: torch.Tensor | None
    device: torch.device
    precision: str

    @property
    def hop_s(self) -> float:
        """Seconds per frame."""
        return self.opts.hop_length / self.opts.sr

    @property
    def spread(self) -> int:
        """Frames beside a call that show something of it, see :class:`~hum_trainer.frame_chunks.ChunkMaker`."""
        return -(-self.opts.n_fft // (2 * self.opts.hop_length)) + 1


def frame_task(task: CorpusTask) -> FrameTask:
    """Return what the networks of a task have in common."""
    cfg = task.cfg
    device, precision = device_and_precision(cfg)
    opts = data_opts(cfg)
    hop_s = opts.hop_length / opts.sr
    durations_s, _ = durations_and_gaps([recording.calls for recording in task.recordings])
    median_s = float(np.median(durations_s))
    context = (median_s + CONTEXT_S) / hop_s
    chunk_frames = int(np.clip(round(CHUNK_CONTEXTS * context), *CHUNK_FRAMES))
    spectrograms = Spectrograms(opts, task.folders.cache)
    spectrograms.require_room(task.recordings)
    noise = stationary_noise(opts, chunk_frames) if cfg.augmentation else None
    return FrameTask(
        task,
        opts,
        spectrograms,
        dilations_for(context),
        median_s if usual_duration_s(durations_s) < median_s else None,
        chunk_frames,
        noise,
        device,
        precision,
    )


def outcome_of(setup: FrameTask, parts: Sequence[tuple[nn.Module, Sequence[Stretch]]]) -> EventOutcome:
    """Return how well networks find the calls of the stretches that each is judged on, all together."""
    scored = [
        ScoredStretch(scores_of(setup, network)(stretch), stretch.calls - stretch.start_s)
        for network, stretches in parts
        for stretch in stretches
    ]
    return event_outcome(scored, setup.task.min_gap_s, setup.task.min_duration_s)


def false_alarms_of(setup: FrameTask, network: nn.Module, stretches: Sequence[Stretch]) -> list[Negative]:
    """Return a network's confident false alarms."""
    return mining.mine(
        stretches,
        scores_of(setup, network),
        min_gap_s=setup.task.min_gap_s,
        min_duration_s=setup.task.min_duration_s,
    )


def scores_of(setup: FrameTask, network: nn.Module) -> Callable[[Stretch], Windows]:
    """Return what scores a stretch, in seconds from its start."""

    def score(stretch: Stretch) -> Windows:
        probs = frame_probs(setup, network, stretch).astype(np.float64)
        first = round(stretch.start_s / setup.hop_s)  # a stretch need not begin with a frame
        starts = (first + np.arange(len(probs), dtype=np.float64)) * setup.hop_s - stretch.start_s
        return Windows(starts, starts + setup.hop_s, probs, CLASSES["noise"], starts + setup.hop_s / 2)

    return score


@torch.inference_mode()
def frame_probs(setup: FrameTask, network: nn.Module, stretch: Stretch) -> NDArray[np.float32]:
    """Return class probabilities of a stretch's frames, shape (n, 2), float32."""
    rows = setup.spectrograms.of(stretch.recording)
    low, high = round(stretch.start_s / setup.hop_s), min(round(stretch.end_s / setup.hop_s), len(rows))
    if stretch.end_s >= stretch.recording.dur_s:
        high = len(rows)
    assert isinstance(network, DenseNetwork)
    reach = network.reach
    parts = []
    for first in range(low, high, _STRETCH_FRAMES):
        stop = min(first + _STRETCH_FRAMES, high)
        before, after = min(reach, first), min(reach, len(rows) - stop)
        chunk = rows[first - before : stop + after].float().to(setup.device)
        with autocast(setup.device, setup.precision):
            logits = network(chunk[None])[0, before : before + stop - first]
        parts.append(torch.softmax(logits.float(), dim=-1).cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, len(CLASSES)), dtype=np.float32)
