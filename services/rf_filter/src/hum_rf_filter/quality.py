"""How well probabilities tell targets from noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, classification_report, confusion_matrix, roc_auc_score

CLASS_NAMES = ("noise", "target")


def measures(
    is_target: NDArray[np.bool_], probs: NDArray[np.float64], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return the measures that go into a card.

    Parameters
    ----------
    is_target, probs
        Shape (n,), both classes present.
    thresholds
        Rule → threshold.

    Returns
    -------
    dict
        `n_target`, `n_noise`, `roc_auc`, `pr_auc`, and `at`: rule → `threshold`, `precision`, `recall`, `f1` of the
        target and `confusion` (`tn`, `fp`, `fn`, `tp`).
    """
    at: dict[str, Any] = {}
    for rule, threshold in thresholds.items():
        tn, fp, fn, tp = (int(count) for count in confusion_matrix(is_target, probs >= threshold).ravel())
        at[rule] = {
            "threshold": threshold,
            "precision": tp / (tp + fp) if tp + fp else 0.0,
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "confusion": {"tn": tn, "fp": fp, "fn": fn, "tp": tp},
        }
    return {
        "n_target": int(np.count_nonzero(is_target)),
        "n_noise": int(np.count_nonzero(~is_target)),
        "roc_auc": float(roc_auc_score(is_target, probs)),
        "pr_auc": float(average_precision_score(is_target, probs)),
        "at": at,
    }


def report(part: str, is_target: NDArray[np.bool_], probs: NDArray[np.float64], thresholds: Mapping[str, float]) -> str:
    """Return the measures as text: areas, then a classification report and confusion matrix per rule."""
    found = measures(is_target, probs, thresholds)
    lines = [
        f"{part}: {found['n_target']} targets, {found['n_noise']} noise, "
        f"ROC-AUC {found['roc_auc']:.4f}, PR-AUC {found['pr_auc']:.4f}"
    ]
    for rule, threshold in thresholds.items():
        counts = found["at"][rule]["confusion"]
        table = classification_report(
            is_target, probs >= threshold, target_names=list(CLASS_NAMES), digits=3, zero_division=0
        )
        lines += [
            f"\n{part}, {rule} threshold {threshold:.4f}",
            table.rstrip(),
            "confusion matrix (rows: truth, columns: prediction)",
            f"{'':>12} {'noise':>9} {'target':>9}",
            f"{'noise':>12} {counts['tn']:>9} {counts['fp']:>9}",
            f"{'target':>12} {counts['fn']:>9} {counts['tp']:>9}",
        ]
    return "\n".join(lines)
