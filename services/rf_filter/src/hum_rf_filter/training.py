"""Training a forest: folds, which kind of forest, calibration, thresholds, test, and what its card tells of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from hum_rf_filter.calibration import Calibration, cross_calibrated, fit_calibration, log_loss
from hum_rf_filter.forest_file import Classifier
from hum_rf_filter.grouping import Groups, folds, group_rows, held_out
from hum_rf_filter.importance import Importance, grouped_importance
from hum_rf_filter.out_of_fold import OutOfFold, fit_forest, judge_out_of_fold
from hum_rf_filter.quality import measures, report
from hum_rf_filter.recommendation import Recommendation, recommend
from hum_rf_filter.thresholds import event_f1_threshold, f_beta_threshold, recall_first_threshold
from hum_rf_filter.training_data import TrainingData
from hum_shared.errors import InputError

_ALWAYS_THERE = "duration_s"


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
        Of two of the threshold rules.
    kinds
        The kinds of forest that are compared out of fold; the better one is taken.
    calibrated
        Learn out of fold how votes become probabilities.
    hold_out
        Keep a fifth of the tapes to test on, where there are five or more.
    """

    neg_per_pos: float | None = None
    trees: int = 800
    seed: int = 0
    recall_floor: float = 0.93
    beta: float = 1.25
    kinds: Sequence[str] = ("RandomForest",)
    calibrated: bool = False
    hold_out: bool = True


@dataclass(frozen=True)
class Trained:
    """A forest and all that its card and report say about it.

    Attributes
    ----------
    forest
        Learned from the training rows; it has never seen the test rows.
    kind
        `RandomForest` or `ExtraTrees`.
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
    comparison
        Kind → its out-of-fold measures, where kinds were compared.
    calibration
        How votes become probabilities; None for votes as they are.
    importance
        Group of features → how much it matters; empty where nothing could be judged.
    recommended
        The threshold to use; None for rows that a person labelled, which are no events.
    warnings
        What a user of the forest should know, one line each.
    """

    forest: Classifier
    kind: str
    medians: Mapping[str, float]
    thresholds: Mapping[str, float]
    metrics: Mapping[str, Any]
    grouped_by: Literal["tape", "time block"]
    tapes: Mapping[str, list[str]]
    n_rows: Mapping[str, int]
    report: str
    comparison: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    calibration: Calibration | None = None
    importance: Mapping[str, Importance] = field(default_factory=dict)
    recommended: Recommendation | None = None
    warnings: Sequence[str] = ()


def train_forest(data: TrainingData, settings: TrainingSettings) -> Trained:
    """Train a forest, choose its thresholds out of fold, and test it on tapes that it has not seen.

    Raises
    ------
    InputError
        When a class is missing or does not spread over enough groups. Candidates of runs may lack noise: a forest
        that passes everything is the answer to a network without false alarms.
    """
    if data.events is not None:
        targets = int(np.count_nonzero(data.is_target))
        if targets < 2:
            raise InputError(
                f"{targets} of {len(data.is_target)} candidates match a true call, so there is nothing to learn calls "
                "from. Check that --gt belongs to --runs, and how good the runs are (hum-evaluator compare)."
            )
        if len(data.is_target) - targets < 2:
            return _pass_everything(data, len(data.is_target) - targets)
    groups = group_rows(data.is_target, data.tapes, data.times)
    train, test = np.arange(len(data.is_target)), np.empty(0, dtype=np.int64)
    if settings.hold_out:
        train, test = held_out(data.is_target, groups, settings.seed)
    is_target = data.is_target[train]
    parts = folds(is_target, groups.ids[train], settings.seed)
    how = (settings.trees, settings.neg_per_pos, settings.seed)
    judged = {kind: judge_out_of_fold(data, train, parts, kind, *how) for kind in settings.kinds}
    comparison = {kind: _compared(data, train, one) for kind, one in judged.items()}
    kind = min(settings.kinds, key=lambda one: comparison[one]["log_loss"])

    calibration = fit_calibration(is_target, judged[kind].votes) if settings.calibrated else None
    out_of_fold = judged[kind].votes if calibration is None else calibration.apply(judged[kind].votes)
    thresholds = {
        "recall_first": recall_first_threshold(is_target, out_of_fold, settings.recall_floor),
        "f_beta": f_beta_threshold(is_target, out_of_fold, settings.beta),
    }
    recommended = None
    if data.events is not None:
        events = data.events.of_rows(train)
        thresholds["event_f1"] = event_f1_threshold(events, out_of_fold)
        recommended = recommend(events, data.tapes[train], out_of_fold, groups.kind == "tape")
    fitted = fit_forest(data, train, kind, *how)
    judgements = {"out_of_fold": (is_target, out_of_fold)}
    if len(test):
        votes = fitted.votes(data.features.iloc[test])
        judgements["test"] = (data.is_target[test], votes if calibration is None else calibration.apply(votes))
    importance = grouped_importance(data.features.iloc[train], is_target, judged[kind], settings.seed)
    return Trained(
        fitted.forest,
        kind,
        fitted.medians,
        thresholds,
        {part: measures(truth, probs, thresholds) for part, (truth, probs) in judgements.items()},
        groups.kind,
        {"train": sorted(set(data.tapes[train])), "test": sorted(set(data.tapes[test]))},
        {"train": len(train), "test": len(test)},
        "\n\n".join(report(part, truth, probs, thresholds) for part, (truth, probs) in judgements.items()),
        comparison if len(comparison) > 1 else {},
        calibration,
        importance,
        recommended,
        _warnings(groups, data, len(test) > 0, settings, calibration, recommended),
    )


def _compared(data: TrainingData, rows: np.ndarray, judged: OutOfFold) -> dict[str, float]:
    is_target = data.is_target[rows]
    probs = cross_calibrated(is_target, judged.votes, judged.judged_by)
    found = measures(is_target, judged.votes, {})
    return {
        "log_loss": log_loss(is_target, probs),
        "log_loss_uncalibrated": log_loss(is_target, judged.votes),
        "roc_auc": found["roc_auc"],
        "pr_auc": found["pr_auc"],
    }


def _warnings(
    groups: Groups,
    data: TrainingData,
    tested: bool,
    settings: TrainingSettings,
    calibration: Calibration | None,
    recommended: Recommendation | None,
) -> list[str]:
    n_tapes = len(set(data.tapes))
    warnings = []
    if groups.kind == "time block":
        warnings.append(
            f"targets and noise come from {n_tapes} tape(s), too few to judge across tapes: folds are blocks of time "
            "within tapes, and all measures too good for a new tape"
        )
    elif settings.hold_out and not tested:
        warnings.append(f"{n_tapes} tapes are too few to hold some out: there is no test, only folds")
    if settings.calibrated and calibration is None:
        warnings.append("out of fold, calls get no more votes than noise: the forest tells nothing about a new tape")
    if recommended is not None and recommended.threshold == 0:
        warnings.append(recommended.reason)
    return warnings


def _pass_everything(data: TrainingData, n_noise: int) -> Trained:
    """Return a forest that gives every selection probability 1."""
    # It must ask for nothing that a run may lack.
    feature = pd.DataFrame({_ALWAYS_THERE: data.features[_ALWAYS_THERE]})
    forest = RandomForestClassifier(n_estimators=1, random_state=0, n_jobs=1)
    forest.fit(feature, np.ones(len(feature), dtype=np.int64))
    reason = f"everything passes: {n_noise} of {len(data.is_target)} candidates are false alarms, none to learn from"
    return Trained(
        forest,
        "RandomForest",
        {_ALWAYS_THERE: float(feature[_ALWAYS_THERE].median())},
        {},
        {},
        "tape",
        {"train": sorted(set(data.tapes)), "test": []},
        {"train": len(data.is_target), "test": 0},
        reason,
        recommended=Recommendation(threshold=0.0, reason=reason),
        warnings=[reason],
    )
