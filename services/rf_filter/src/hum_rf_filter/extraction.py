"""Features of the selections of many recordings, in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.recordings import recording_features
from hum_shared.errors import HumError
from hum_shared.selections import Selection

WORTH_A_WORKER = 1000.0
"""A process takes about as long to start as the features of this many selections and seconds of sound, together."""


@dataclass(frozen=True)
class Work:
    """One recording and the selections whose features are wanted.

    Attributes
    ----------
    key
        The caller's name for it.
    scores
        The recording's score track; None where there is none.
    """

    key: str
    recording: Path
    selections: Sequence[Selection]
    scores: Path | None = None


@dataclass(frozen=True)
class Extracted:
    """What came of one recording: its features, or why there are none."""

    work: Work
    features: NDArray[np.float64] | None
    failure: str = ""


def extract_all(work: Sequence[Work], settings: FeatureSettings, workers: int) -> Iterator[Extracted]:
    """Yield the features of each recording, in the order of `work`; one that fails does not stop the others.

    Parameters
    ----------
    workers
        Most processes; 0 for all CPUs this process may use. Fewer are started where there is little to do.
    """
    n_jobs = processes_for(work, workers or joblib.cpu_count())
    pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    yield from pool(joblib.delayed(_extract)(one, settings) for one in work)


def processes_for(work: Sequence[Work], most: int) -> int:
    """Return how many processes are worth starting, at least one and at most one for each recording."""
    to_do = sum(1 + selection.end_s - selection.begin_s for one in work for selection in one.selections)
    return max(1, min(most, len(work), 1 + int(to_do / WORTH_A_WORKER)))


def _extract(work: Work, settings: FeatureSettings) -> Extracted:
    try:
        return Extracted(work, recording_features(work.recording, work.selections, settings, work.scores))
    except HumError as error:
        return Extracted(work, None, str(error))
