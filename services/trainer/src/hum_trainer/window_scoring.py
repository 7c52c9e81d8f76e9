"""Scores of a stretch of a recording by a network that looks at windows, as prediction gives them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from hum_shared.audio import Samples
from hum_shared.config.training import TrainingCfg
from hum_shared.decoders import Windows
from hum_shared.grid import window_grid
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import LoadedModel
from hum_shared.model.network import Network
from hum_shared.model.scoring import WindowScorer, score_recording
from hum_trainer.corpus_task import CLASSES


def window_samples(cfg: TrainingCfg) -> int:
    """Return how many samples a window has, rounded as the predictor's grid rounds it."""
    return math.ceil(cfg.sequence_len / 1000 * cfg.sr)


class StretchScorer:
    """Scores stretches of audio window by window.

    Parameters
    ----------
    opts
        Front end and window, of a cfg or of a model file that says what window it was trained on.
    score_hop
        Step from window to window, ms.
    """

    def __init__(self, opts: DataOpts, score_hop: int | None, device: torch.device, precision: str) -> None:
        if opts.sequence_len_ms is None or score_hop is None:
            raise ValueError("the window and its step must be known")
        self._opts, self._device, self._precision = opts, device, precision
        self._sequence_len_s = opts.sequence_len_ms / 1000
        self._hop_s = min(score_hop / 1000, self._sequence_len_s)

    def score(self, network: nn.Module, audio: Samples) -> Windows:
        """Return the windows of a stretch of audio at the model's rate, in seconds from its start."""
        assert isinstance(network, Network)
        opts, classifier = self._opts, network.classifier
        model = LoadedModel(network.encoder, classifier, classifier.pooling, opts, opts.as_dict(), CLASSES, "")
        return self.score_with(model, audio)

    def score_with(self, model: LoadedModel, audio: Samples) -> Windows:
        """Return the same of a model that was read from its file."""
        scorer = WindowScorer(
            model,
            min_max_norm=bool(self._opts.min_max_norm),
            device=self._device,
            precision=self._precision,
            threads=torch.get_num_threads(),
        )
        grid = window_grid(len(audio), self._opts.sr, self._sequence_len_s, self._hop_s, score_tail=True)
        blocks = [np.array(audio)]  # a mapped one is read only, which torch warns about
        probs = np.concatenate([rows.probs for rows in score_recording(blocks, grid, scorer)])
        starts = grid.starts()
        ends = np.minimum(starts + grid.length, grid.frames)
        start_s, end_s = grid.times_s()
        return Windows(start_s, end_s, probs.astype(np.float64), CLASSES["noise"], (starts + ends) / 2 / self._opts.sr)
