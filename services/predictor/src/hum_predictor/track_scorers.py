"""What a model gives a score track: windows scored one by one, or frames scored in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hum_shared.config.prediction import PredictionCfg
from hum_shared.errors import ModelError
from hum_shared.grid import FrameGrid, WindowGrid, window_grid
from hum_shared.model.frame_scoring import FrameScorer
from hum_shared.model.model_parts import DenseModel, LoadedModel
from hum_shared.model.scoring import ScoredRows, WindowScorer, score_recording

Blocks = Iterable[NDArray[np.float32]]


class Rows(Protocol):
    """The rows of one recording's score track."""

    def times_s(self, first: int = 0, stop: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return start and end of rows `first` to `stop`, seconds."""
        ...

    def score(self, blocks: Blocks) -> Iterator[ScoredRows]:
        """Score the recording, mono blocks at the model's rate; rows in order."""
        ...

    @property
    def grid(self) -> FrameGrid | WindowGrid:
        """Where the rows lie."""
        ...


class TrackScorer(Protocol):
    """A model on a device.

    Attributes
    ----------
    precision
        That the network computes in.
    front_end
        Settings that the scores depend on, besides those of the model file.
    """

    precision: str
    front_end: dict[str, Any]

    def rows(self, frames: int) -> Rows:
        """Return the rows of a recording of `frames` samples at the model's rate."""
        ...


def track_scorer(
    model: LoadedModel | DenseModel, cfg: PredictionCfg, device: torch.device, precision: str, threads: int
) -> TrackScorer:
    """Return what scores recordings with this model and these settings.

    Raises
    ------
    ModelError
        When the settings ask for something that the model does not have.
    """
    if isinstance(model, DenseModel):
        if cfg.latent_extract:
            raise ModelError("latent_extract=true: a dense model has no features of windows. Leave it out.")
        return _FrameTracks(
            FrameScorer(
                model.network,
                model.data_opts,
                device=device,
                precision=precision,
                chunk=cfg.batch_size,
                threads=threads,
            )
        )
    scorer = WindowScorer(
        model,
        min_max_norm=cfg.min_max_norm,
        device=device,
        precision=precision,
        batch_size=cfg.batch_size,
        threads=threads,
    )
    return _WindowTracks(scorer, model.data_opts.sr, cfg)


class _WindowTracks:
    def __init__(self, scorer: WindowScorer, rate: int, cfg: PredictionCfg) -> None:
        self._scorer, self._rate, self._cfg = scorer, rate, cfg
        self.precision = scorer.precision
        self.front_end = {"min_max_norm": cfg.min_max_norm}

    def rows(self, frames: int) -> Rows:
        cfg = self._cfg
        grid = window_grid(frames, self._rate, cfg.sequence_len, cfg.hop, cfg.score_tail)
        return _WindowRows(grid, self._scorer, latent=cfg.latent_extract)


@dataclass(frozen=True)
class _WindowRows:
    grid: WindowGrid
    scorer: WindowScorer
    latent: bool

    def times_s(self, first: int = 0, stop: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.grid.times_s(first, stop)

    def score(self, blocks: Blocks) -> Iterator[ScoredRows]:
        return score_recording(blocks, self.grid, self.scorer, latent=self.latent)


class _FrameTracks:
    def __init__(self, scorer: FrameScorer) -> None:
        self._scorer = scorer
        self.precision = scorer.precision
        self.front_end: dict[str, Any] = {}

    def rows(self, frames: int) -> Rows:
        return _FrameRows(self._scorer.grid(frames), self._scorer)


@dataclass(frozen=True)
class _FrameRows:
    grid: FrameGrid
    scorer: FrameScorer

    def times_s(self, first: int = 0, stop: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.grid.times_s(first, stop)

    def score(self, blocks: Blocks) -> Iterator[ScoredRows]:
        return self.scorer.score(blocks, self.grid)
