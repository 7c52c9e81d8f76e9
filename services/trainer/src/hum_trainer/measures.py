"""How well a classifier does: loss, accuracy and rates from probabilities and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """Predictions for one part of a dataset.

    Attributes
    ----------
    loss
        Mean cross entropy.
    probs
        Shape (n, classes).
    labels
        Shape (n,), class indices.
    """

    loss: float
    probs: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class, shape (n,)."""
        predicted: NDArray[np.int64] = self.probs.argmax(axis=1)
        return predicted

    def confusion(self) -> NDArray[np.int64]:
        """Return counts, rows true and columns predicted classes."""
        n = self.probs.shape[1]
        return np.bincount(self.labels * n + self.predicted, minlength=n * n).reshape(n, n)

    def measures(self) -> dict[str, float]:
        """Return loss, accuracy, F1, precision, TPR and FPR.

        Two classes: of class 1. More: the means over classes, each against all others. A rate without
        cases is 0.
        """
        confusion = self.confusion().astype(np.float64)
        hits = np.diag(confusion)
        false_alarms, misses = confusion.sum(axis=0) - hits, confusion.sum(axis=1) - hits
        rest = confusion.sum() - hits - false_alarms - misses
        per_class = {
            "f1": _ratio(2 * hits, 2 * hits + false_alarms + misses),
            "precision": _ratio(hits, hits + false_alarms),
            "tpr": _ratio(hits, hits + misses),
            "fpr": _ratio(false_alarms, false_alarms + rest),
        }
        shown = slice(1, 2) if len(hits) == 2 else slice(None)
        return {
            "loss": self.loss,
            "accuracy": float(hits.sum() / confusion.sum()),
            **{name: float(values[shown].mean()) for name, values in per_class.items()},
        }


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
