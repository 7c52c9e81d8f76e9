"""Scores of a stretch of a recording by a network that looks at windows, as prediction gives them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from hum_shared.audio import Samples
from hum_shared.config.training import TrainingCfg
from hum_shared.decoders import Windows
from hum_shared.grid import WindowGrid, window_grid
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import LoadedModel
from hum_shared.model.network import Network
from hum_shared.model.scoring import WindowScorer, score_recording
from hum_trainer.corpus_task import CLASSES
from hum_trainer.tap_convs import with_plain_convs

_BLOCK_S = 60.0


def window_samples(cfg: TrainingCfg) -> int:
    """Return how many samples a window has, rounded as the predictor's grid rounds it."""
    return math.ceil(cfg.sequence_len / 1000 * cfg.sr)


def in_training(network: Network, opts: DataOpts) -> LoadedModel:
    """Return a network that is being trained as the model that it would be now."""
    network = with_plain_convs(network)
    return LoadedModel(
        network.encoder, network.classifier, network.classifier.pooling, opts, opts.as_dict(), CLASSES, ""
    )


class StretchScorer:
    """Scores stretches of audio window by window, with the weights that the model has when this is made.

    Parameters
    ----------
    model
        It says what window it was trained on.
    score_hop
        Step from window to window, ms.
    """

    def __init__(self, model: LoadedModel, score_hop: int | None, device: torch.device, precision: str) -> None:
        opts = model.data_opts
        if opts.sequence_len_ms is None or score_hop is None:
            raise ValueError("the window and its step must be known")
        self._rate = opts.sr
        self._sequence_len_s = opts.sequence_len_ms / 1000
        self._hop_s = min(score_hop / 1000, self._sequence_len_s)
        self._scorer = WindowScorer(
            model,
            min_max_norm=bool(opts.min_max_norm),
            device=device,
            precision=precision,
            threads=torch.get_num_threads(),
        )

    def probs(self, audio: Samples) -> tuple[WindowGrid, NDArray[np.float32]]:
        """Return the windows of a stretch of audio at the model's rate, and class probabilities, shape (n, 2)."""
        grid = window_grid(len(audio), self._rate, self._sequence_len_s, self._hop_s, score_tail=True)
        length = round(_BLOCK_S * self._rate)
        # Copied: torch warns of audio that is mapped from disk, which is read only.
        blocks = (np.array(audio[first : first + length]) for first in range(0, len(audio), length))
        return grid, np.concatenate([rows.probs for rows in score_recording(blocks, grid, self._scorer)])

    def score(self, audio: Samples) -> Windows:
        """Return the scored windows of a stretch of audio at the model's rate, in seconds from its start."""
        grid, probs = self.probs(audio)
        starts = grid.starts()
        ends = np.minimum(starts + grid.length, grid.frames)
        start_s, end_s = grid.times_s()
        return Windows(start_s, end_s, probs.astype(np.float64), CLASSES["noise"], (starts + ends) / 2 / self._rate)
