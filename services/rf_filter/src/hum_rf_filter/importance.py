"""Which groups of features a forest's verdict rests on: permutation importance by group, out of fold.

Features of a group know each other: shuffling one alone changes little, as the others tell the same. So all columns
of a group are shuffled together (Breiman 2001, grouped as in Gregorutti et al. 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.metrics import roc_auc_score

from hum_rf_filter.context import OWN_SCORE_COLUMNS
from hum_rf_filter.features import LOGIT_FEATURE
from hum_rf_filter.out_of_fold import OutOfFold
from hum_rf_filter.spectral import SPECTRAL_COLUMNS
from hum_rf_filter.training_data import is_cepstral
from hum_shared.files import atomic_path

GROUPS = ("spectral", "cepstral", "CNN", "context")

_REPEATS = 5


class Importance(BaseModel):
    """How much a group matters; part of a forest's card."""

    model_config = ConfigDict(frozen=True)

    n_features: int
    auc_loss: float = Field(description="out-of-fold ROC-AUC lost when the group is shuffled, mean of the repeats")
    spread: float = Field(description="its standard deviation over the repeats")


def group_of(feature: str) -> str:
    """Return the group of a feature: one of :data:`GROUPS`."""
    if feature in SPECTRAL_COLUMNS:
        return "spectral"
    if is_cepstral(feature):
        return "cepstral"
    return "CNN" if feature in (LOGIT_FEATURE, *OWN_SCORE_COLUMNS) else "context"


def grouped_importance(
    features: pd.DataFrame, is_target: NDArray[np.bool_], judged: OutOfFold, seed: int
) -> dict[str, Importance]:
    """Return the importance of each group that has features.

    Parameters
    ----------
    features, is_target
        The rows that were judged, both classes among them.
    judged
        What the forests of the folds said about them. Each fold's rows are shuffled among themselves.
    """
    rng = np.random.default_rng(seed)
    groups = {group: [name for name in features.columns if group_of(str(name)) == group] for group in GROUPS}
    groups = {group: columns for group, columns in groups.items() if columns}
    votes = np.empty((len(groups), _REPEATS, len(is_target)))
    for fold, fitted in enumerate(judged.fitted):
        rows = np.flatnonzero(judged.judged_by == fold)
        shuffled = []
        for columns in groups.values():
            for _ in range(_REPEATS):
                part = features.iloc[rows].copy()
                part[columns] = features.iloc[rng.permutation(rows)][columns].to_numpy()
                shuffled.append(part)
        # Asked once for all: most of the time goes into getting each tree started.
        votes[:, :, rows] = fitted.votes(pd.concat(shuffled)).reshape(len(groups), _REPEATS, len(rows))
    whole = float(roc_auc_score(is_target, judged.votes))
    found = {}
    for of_group, (group, columns) in zip(votes, groups.items(), strict=True):
        losses = [whole - float(roc_auc_score(is_target, repeat)) for repeat in of_group]
        found[group] = Importance(
            n_features=len(columns), auc_loss=float(np.mean(losses)), spread=float(np.std(losses))
        )
    return found


def write_picture(path: Path, importance: Mapping[str, Importance], title: str) -> None:
    """Draw the groups' importance as bars, PNG, atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to load, and only wanted here
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.9 + 0.5 * len(importance)), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{group} ({one.n_features})" for group, one in importance.items()]
    axes.barh(
        names,
        [one.auc_loss for one in importance.values()],
        xerr=[one.spread for one in importance.values()],
        color="#4878a8",
        ecolor="#303030",
    )
    axes.invert_yaxis()
    axes.axvline(0, color="#303030", linewidth=0.8)
    axes.set_xlabel("out-of-fold ROC-AUC lost when the group is shuffled")
    axes.set_title(title, fontsize=9, parse_math=False)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure)
        figure.savefig(temporary, format="png", metadata={"Software": None})
