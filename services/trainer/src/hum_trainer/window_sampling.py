"""Which windows an epoch learns from: half around calls, half anywhere, labelled by their centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hum_shared.config.training import TrainingCfg
from hum_shared.intervals import Intervals, inside
from hum_trainer.event_loop import Negative
from hum_trainer.labelled_recordings import Stretch
from hum_trainer.shares import AROUND_CALLS, on_negatives

_TRIES = 8  # to find a place without calls
_ANYWHERE, _INSIDE, _ONSET, _OFFSET, _OUTSIDE = range(5)


@dataclass(frozen=True)
class SampledWindows:
    """Windows of one epoch, in the order they are trained on.

    Attributes
    ----------
    stretch
        Index of the stretch each lies in, shape (n,).
    centre_s
        Seconds of the recording, shape (n,); the whole window lies in its stretch.
    label
        Whether the centre lies inside a call, shape (n,).
    """

    stretch: NDArray[np.int64]
    centre_s: NDArray[np.float64]
    label: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.stretch)

    def __getitem__(self, rows: NDArray[np.int64]) -> SampledWindows:
        return SampledWindows(self.stretch[rows], self.centre_s[rows], self.label[rows])


class WindowSampler:
    """Draws windows from stretches of recordings.

    Parameters
    ----------
    stretches
        Where windows may lie. Those shorter than a window are left out.
    window_s
        Length of a window.

    Raises
    ------
    ValueError
        When no stretch that holds a call is as long as a window.
    """

    def __init__(self, stretches: Sequence[Stretch], window_s: float) -> None:
        self.stretches, self.window_s = stretches, window_s
        self._room = np.array([part.dur_s - window_s for part in stretches])
        self._low = np.array([part.start_s for part in stretches]) + window_s / 2
        fits = self._room >= 0
        parts = [index for index in range(len(stretches)) if fits[index]]
        self._call_stretch = np.array([i for i in parts for _ in stretches[i].calls], dtype=np.int64)
        if len(self._call_stretch) == 0:
            raise ValueError(f"no stretch with a call is as long as a window of {window_s:g} s")
        self._calls: Intervals = np.concatenate([stretches[i].calls for i in parts])
        length = np.where(fits, [part.dur_s for part in stretches], 0.0)
        self._share = length / length.sum()

    @property
    def n_calls(self) -> int:
        """How many calls windows are drawn around."""
        return len(self._calls)

    def epoch(self, n: int, rng: np.random.Generator, negatives: Sequence[Negative] = ()) -> SampledWindows:
        """Return the windows of an epoch, in random order.

        Parameters
        ----------
        n
            How many.
        negatives
            Hard negatives: index of the stretch, start and end in seconds of the recording. Windows are centred
            in them; labels are decided by the calls all the same. Those in stretches shorter than a window are
            left out.
        """
        negatives = [negative for negative in negatives if self._room[negative[0]] >= 0]
        kind = np.zeros(n, dtype=np.int64)
        around = rng.permutation(n)[: round(n * AROUND_CALLS)]
        kind[around] = 1 + np.arange(len(around)) % 4  # inside, at both edges and just outside in equal parts
        stretch = rng.choice(len(self.stretches), n, p=self._share)
        centre_s = self._low[stretch] + rng.random(n) * np.maximum(self._room[stretch], 0)
        where, share = rng.random(n), rng.random(n)
        if negatives:
            on_them = on_negatives(len(negatives), len(self._calls)) / (1 - AROUND_CALLS)  # of those anywhere
            hard = np.flatnonzero((kind == _ANYWHERE) & (share < on_them))
            picked = rng.integers(len(negatives), size=len(hard))
            rows = np.array(negatives, dtype=np.float64)[picked]
            stretch[hard] = rows[:, 0].astype(np.int64)
            centre_s[hard] = rows[:, 1] + where[hard] * (rows[:, 2] - rows[:, 1])
        call = rng.integers(len(self._calls), size=n)
        start_s, end_s = self._calls[call].T
        reach_s = np.minimum(self.window_s, end_s - start_s) / 2
        side = np.where(share < 0.5, -1.0, 1.0)
        near = {
            _INSIDE: start_s + where * (end_s - start_s),
            _ONSET: start_s + (2 * where - 1) * reach_s,
            _OFFSET: end_s + (2 * where - 1) * reach_s,
            _OUTSIDE: np.where(side < 0, start_s, end_s) + side * where * self.window_s,
        }
        for number, instants_s in near.items():
            chosen = kind == number
            stretch[chosen] = self._call_stretch[call[chosen]]
            centre_s[chosen] = instants_s[chosen]
        low_s = self._low[stretch]
        centre_s = np.clip(centre_s, low_s, low_s + self._room[stretch])
        return SampledWindows(stretch, centre_s, self.labels(stretch, centre_s))

    def labels(self, stretch: NDArray[np.int64], centre_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each centre lies inside a call of its stretch's recording; shape (n,)."""
        out = np.zeros(len(stretch), dtype=np.bool_)
        for index in np.unique(stretch).tolist():
            here = stretch == index
            out[here] = inside(centre_s[here], self.stretches[index].recording.calls)
        return out

    def background(self, stretch: NDArray[np.int64], rng: np.random.Generator) -> SampledWindows:
        """Return a window for each of `stretch` that holds no call, from another tape where there are several.

        Places are tried a few times; where none is free of calls, the last one tried is kept. Labels say which windows
        hold a part of a call.
        """
        tapes = np.array([part.recording.tape for part in self.stretches])
        chosen = np.empty(len(stretch), dtype=np.int64)
        for tape in np.unique(tapes[stretch]):
            asked = np.flatnonzero(tapes[stretch] == tape)
            share = np.where(tapes != tape, self._share, 0.0)
            if share.sum() == 0:
                share = self._share
            chosen[asked] = rng.choice(len(self.stretches), len(asked), p=share / share.sum())
        centre_s = np.empty(len(stretch))
        busy = np.ones(len(stretch), dtype=np.bool_)
        for _ in range(_TRIES):
            centre_s[busy] = self._low[chosen[busy]] + rng.random(int(busy.sum())) * self._room[chosen[busy]]
            for index in np.unique(chosen[busy]).tolist():
                here = np.flatnonzero(busy & (chosen == index))
                widened = self.stretches[index].recording.calls + np.array([-1, 1]) * self.window_s / 2
                busy[here] = inside(centre_s[here], widened)
            if not busy.any():
                break
        return SampledWindows(chosen, centre_s, busy)


class EpochWindows:
    """The batches of windows of every epoch; they depend on seed, epoch and hard negatives alone.

    Parameters
    ----------
    n_examples
        Windows per epoch.
    """

    def __init__(self, sampler: WindowSampler, n_examples: int, cfg: TrainingCfg) -> None:
        self._sampler, self._n_examples, self._cfg = sampler, n_examples, cfg
        # A last batch of one window would be too few for batch normalisation: the batches are nearly equal instead.
        self.n_batches = max(1, n_examples // cfg.batch_size)
        self._drawn: tuple[int, int, SampledWindows, SampledWindows] | None = None

    def batch(self, epoch: int, batch: int, negatives: Sequence[Negative]) -> tuple[SampledWindows, SampledWindows]:
        """Return the windows of a batch, and a background to mix in for each."""
        if self._drawn is None or self._drawn[:2] != (epoch, len(negatives)):
            rng = np.random.default_rng([self._cfg.seed, epoch])
            windows = self._sampler.epoch(self._n_examples, rng, negatives)
            self._drawn = (epoch, len(negatives), windows, self._sampler.background(windows.stretch, rng))
        _, _, windows, background = self._drawn
        rows = np.array_split(np.arange(self._n_examples), self.n_batches)[batch]
        return windows[rows], background[rows]
