"""Calibration: from a forest's share of votes to a probability that can be believed.

A forest with balanced class weights, trained on as many calls as false alarms of whatever tapes there were, votes on
a scale of its own. The map from votes to probabilities is learned from rows that the voting trees have not seen.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from hum_shared.decoders.windows import log_odds, logistic

LEAST_ISOTONIC_ROWS, LEAST_ISOTONIC_OF_EACH = 1000, 200
"""Isotonic regression follows every step of its data; on less than this it would follow noise."""

_NEVER_SURE = 0.005  # votes are not told apart closer to 0 and 1: their log-odds would run away


class Calibration(BaseModel):
    """A map from votes to probabilities that never falls; part of a forest's card.

    Attributes
    ----------
    method
        `sigmoid`: ``1 / (1 + exp(−(slope · log-odds of the votes + intercept)))`` (Platt 2000, on log-odds).
        `isotonic`: straight lines between the points (`votes`, `probabilities`).
    n_rows
        Out-of-fold rows it was learned from.
    """

    model_config = ConfigDict(frozen=True)

    method: Literal["sigmoid", "isotonic"]
    n_rows: int
    slope: float = 1.0
    intercept: float = 0.0
    votes: list[float] = Field(default_factory=list)
    probabilities: list[float] = Field(default_factory=list)

    def apply(self, votes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of votes, shape (n,); NaN stays NaN."""
        if self.method == "isotonic":
            return np.interp(votes, self.votes, self.probabilities)
        return logistic(self.slope * _log_odds(votes) + self.intercept)


def fit_calibration(is_target: NDArray[np.bool_], votes: NDArray[np.float64]) -> Calibration | None:
    """Learn a calibration from out-of-fold votes: isotonic with enough rows, else a sigmoid.

    Parameters
    ----------
    is_target, votes
        Shape (n,).

    Returns
    -------
    Calibration or None
        None when one class is missing, or when votes do not rise with the truth: such a forest tells nothing.
    """
    fewest = min(np.count_nonzero(is_target), np.count_nonzero(~is_target))
    if fewest == 0:
        return None
    sigmoid = LogisticRegression(C=1.0).fit(_log_odds(votes)[:, np.newaxis], is_target)
    slope, intercept = float(sigmoid.coef_[0, 0]), float(sigmoid.intercept_[0])
    if slope <= 0:
        return None
    if len(votes) < LEAST_ISOTONIC_ROWS or fewest < LEAST_ISOTONIC_OF_EACH:
        return Calibration(method="sigmoid", n_rows=len(votes), slope=slope, intercept=intercept)
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(votes, is_target)
    return Calibration(
        method="isotonic",
        n_rows=len(votes),
        votes=isotonic.X_thresholds_.tolist(),
        probabilities=isotonic.y_thresholds_.tolist(),
    )


def cross_calibrated(
    is_target: NDArray[np.bool_], votes: NDArray[np.float64], judged_by: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return probabilities of out-of-fold votes, each fold's calibrated on the other folds alone.

    They tell how good probabilities will be on tapes that neither trees nor calibration have seen.

    Parameters
    ----------
    judged_by
        Fold of each row, shape (n,).
    """
    probs = votes.copy()
    for fold in np.unique(judged_by):
        inside = judged_by == fold
        calibration = fit_calibration(is_target[~inside], votes[~inside])
        if calibration is not None:
            probs[inside] = calibration.apply(votes[inside])
    return probs


def log_loss(is_target: NDArray[np.bool_], probs: NDArray[np.float64]) -> float:
    """Return the mean surprise −log p(truth), nat; 0 is perfect, 0.69 a coin. p is clamped to [0.005, 0.995]."""
    p = np.clip(probs, _NEVER_SURE, 1 - _NEVER_SURE)
    return float(-np.mean(np.log(np.where(is_target, p, 1 - p))))


def _log_odds(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    return log_odds(np.clip(votes, _NEVER_SURE, 1 - _NEVER_SURE))
