"""Forests of each kind, fitted on all folds but one and asked about that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from hum_rf_filter.forest_file import Classifier
from hum_rf_filter.grouping import Rows, downsample
from hum_rf_filter.training_data import TrainingData
from hum_shared.errors import InputError

KINDS: Mapping[str, type[Classifier]] = {"RandomForest": RandomForestClassifier, "ExtraTrees": ExtraTreesClassifier}

MIN_SAMPLES_LEAF = 2


@dataclass(frozen=True)
class Fitted:
    """A forest and the medians that fill what is missing in the rows it is asked about."""

    forest: Classifier
    medians: Mapping[str, float]

    def votes(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Return the share of votes for the target, shape (n,)."""
        votes: NDArray[np.float64] = self.forest.predict_proba(features.fillna(dict(self.medians)))[:, 1]
        return votes


@dataclass(frozen=True)
class OutOfFold:
    """What forests of one kind say about rows they have not seen.

    Attributes
    ----------
    votes
        Shape (n,).
    judged_by
        The fold whose forest was asked, shape (n,).
    fitted
        The forest of each fold.
    """

    votes: NDArray[np.float64]
    judged_by: NDArray[np.int64]
    fitted: Sequence[Fitted]


def fit_forest(data: TrainingData, rows: Rows, kind: str, trees: int, neg_per_pos: float | None, seed: int) -> Fitted:
    """Fit a forest of a kind (a key of :data:`KINDS`) on some rows; see `TrainingSettings` for the rest."""
    rows = rows[downsample(data.is_target[rows], data.tapes[rows], neg_per_pos, seed)]
    if data.is_target[rows].all():
        raise InputError(
            f"with {neg_per_pos} noise rows per target of each tape, no noise is left to learn from in some fold: it "
            "lies on tapes with few targets or none. Give a larger --neg-per-pos, or leave it out."
        )
    features = data.features.iloc[rows]
    # A fold may have no value at all of a column that is filled in: 0 then, as for forests without medians.
    medians = {str(name): float(value) for name, value in features.median().fillna(0.0).items()}
    forest = KINDS[kind](
        n_estimators=trees,
        min_samples_leaf=MIN_SAMPLES_LEAF,
        class_weight="balanced",
        random_state=seed,
        n_jobs=-1,
    )
    forest.fit(features.fillna(medians), data.is_target[rows].astype(np.int64))
    # One thread from here on: the sum over trees then has one order, and thresholds the same last digit.
    forest.set_params(n_jobs=1)
    return Fitted(forest, medians)


def judge_out_of_fold(
    data: TrainingData,
    rows: Rows,
    folds: Sequence[tuple[Rows, Rows]],
    kind: str,
    trees: int,
    neg_per_pos: float | None,
    seed: int,
) -> OutOfFold:
    """Return the votes on `rows`, each by a forest that learned from the other folds.

    Parameters
    ----------
    folds
        Pairs (places in `rows` to learn from, places to judge); see :func:`~hum_rf_filter.grouping.folds`.
    """
    votes, judged_by = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
    fitted = []
    for number, (learn, judge) in enumerate(folds):
        fitted.append(fit_forest(data, rows[learn], kind, trees, neg_per_pos, seed))
        votes[judge] = fitted[-1].votes(data.features.iloc[rows[judge]])
        judged_by[judge] = number
    return OutOfFold(votes, judged_by, fitted)
