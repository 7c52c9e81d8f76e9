"""Training a forest: folds, thresholds, test, and the card that tells all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from hum_rf_filter.grouping import downsample, folds, group_rows, held_out
from hum_rf_filter.quality import measures, report
from hum_rf_filter.thresholds import f_beta_threshold, recall_first_threshold
from hum_rf_filter.training_data import TrainingData

MIN_SAMPLES_LEAF = 2

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSettings:
    """How a forest is trained.

    Attributes
    ----------
    neg_per_pos
        Noise rows per target row to learn from, within each tape; None for all.
    trees, seed
        Size of the forest, and what makes it repeatable.
    recall_floor, beta
        Of the two threshold rules.
    """

    neg_per_pos: float | None = None
    trees: int = 800
    seed: int = 0
    recall_floor: float = 0.93
    beta: float = 1.25


@dataclass(frozen=True)
class Trained:
    """A forest and all that its card and report say about it.

    Attributes
    ----------
    forest
        Learned from the training rows; it has never seen the test rows.
    medians
        Training median of each feature.
    thresholds
        Rule → threshold, chosen on out-of-fold predictions.
    metrics
        Part (`out_of_fold`, and `test` where tapes were held out) → measures.
    grouped_by
        What folds and test rows never share.
    tapes
        Part (`train`, `test`) → its tapes.
    n_rows
        Part → rows.
    report
        The metrics as text.
    """

    forest: RandomForestClassifier
    medians: Mapping[str, float]
    thresholds: Mapping[str, float]
    metrics: Mapping[str, Any]
    grouped_by: Literal["tape", "time block"]
    tapes: Mapping[str, list[str]]
    n_rows: Mapping[str, int]
    report: str


def train_forest(data: TrainingData, settings: TrainingSettings) -> Trained:
    """Train a forest, choose its thresholds out of fold, and test it on tapes that it has not seen.

    Raises
    ------
    InputError
        When a class is missing or does not spread over enough groups.
    """
    groups = group_rows(data.is_target, data.tapes, data.times)
    train, test = held_out(data.is_target, groups, settings.seed)
    is_target = data.is_target[train]
    out_of_fold = np.empty(len(train))
    for learn, judge in folds(is_target, groups.ids[train], settings.seed):
        forest, medians = _fit(data, train[learn], settings)
        out_of_fold[judge] = _probabilities(forest, medians, data, train[judge])
    thresholds = {
        "recall_first": recall_first_threshold(is_target, out_of_fold, settings.recall_floor),
        "f_beta": f_beta_threshold(is_target, out_of_fold, settings.beta),
    }
    parts = {"out_of_fold": (is_target, out_of_fold)}
    forest, medians = _fit(data, train, settings)
    if len(test):
        parts["test"] = (data.is_target[test], _probabilities(forest, medians, data, test))
    return Trained(
        forest,
        medians,
        thresholds,
        {part: measures(truth, probs, thresholds) for part, (truth, probs) in parts.items()},
        groups.kind,
        {"train": sorted(set(data.tapes[train])), "test": sorted(set(data.tapes[test]))},
        {"train": len(train), "test": len(test)},
        "\n\n".join(report(part, truth, probs, thresholds) for part, (truth, probs) in parts.items()),
    )


def _fit(data: TrainingData, rows: Rows, settings: TrainingSettings) -> tuple[RandomForestClassifier, dict[str, float]]:
    rows = rows[downsample(data.is_target[rows], data.tapes[rows], settings.neg_per_pos, settings.seed)]
    features = data.features.iloc[rows]
    # A fold may have no value at all of a column that is filled in: 0 then, as for forests without medians.
    medians = {str(name): float(value) for name, value in features.median().fillna(0.0).items()}
    forest = RandomForestClassifier(
        n_estimators=settings.trees,
        min_samples_leaf=MIN_SAMPLES_LEAF,
        class_weight="balanced",
        random_state=settings.seed,
        n_jobs=-1,
    )
    forest.fit(features.fillna(medians), data.is_target[rows].astype(np.int64))
    # One thread from here on: the sum over trees then has one order, and thresholds the same last digit.
    forest.set_params(n_jobs=1)
    return forest, medians


def _probabilities(
    forest: RandomForestClassifier, medians: Mapping[str, float], data: TrainingData, rows: Rows
) -> NDArray[np.float64]:
    features: pd.DataFrame = data.features.iloc[rows].fillna(dict(medians))
    probs: NDArray[np.float64] = forest.predict_proba(features)[:, 1]
    return probs
