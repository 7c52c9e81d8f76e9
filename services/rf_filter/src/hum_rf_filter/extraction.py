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
        Processes; 0 for all CPUs this process may use.
    """
    n_jobs = max(1, min(workers or joblib.cpu_count(), len(work)))
    pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    yield from pool(joblib.delayed(_extract)(one, settings) for one in work)


def _extract(work: Work, settings: FeatureSettings) -> Extracted:
    try:
        return Extracted(work, recording_features(work.recording, work.selections, settings, work.scores))
    except HumError as error:
        return Extracted(work, None, str(error))
