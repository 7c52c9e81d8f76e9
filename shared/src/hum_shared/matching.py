"""One-to-one matching of predicted intervals to true ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hum_shared.intervals import Intervals, iou_pairs

Matching = Literal["optimal", "greedy"]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

# Times lie on milliseconds: whether an IoU equals the threshold must not depend on where on the tape it lies.
_TOLERANCE = 1e-9


def match(truth: Intervals, predicted: Intervals, min_iou: float, matching: Matching = "optimal") -> Pairs:
    """Pair true and predicted intervals of one tape whose IoU is at least `min_iou`.

    Parameters
    ----------
    truth, predicted
        Interval sets on the same time axis.
    min_iou
        Intersection over union that a pair needs; in (0, 1].
    matching
        ``optimal``: as many pairs as possible, among those the largest sum of IoU. ``greedy`` (the original
        programs'): true calls in time order, each takes the free prediction with the highest IoU.

    Returns
    -------
    i, j : ndarray of int64, shape (k,)
        Rows of `truth` and `predicted`, sorted by i; empty when nothing matches.
    """
    i, j, iou = iou_pairs(truth, predicted)
    enough = iou >= min_iou - _TOLERANCE
    if matching == "greedy":
        return _greedy(truth, i[enough], j[enough], iou[enough])
    return best_pairs(len(truth), len(predicted), i[enough], j[enough], iou[enough])


def _greedy(truth: Intervals, i: NDArray[np.int64], j: NDArray[np.int64], iou: NDArray[np.float64]) -> Pairs:
    # By start of the true call, then best IoU first; ties go to the earlier prediction.
    order = np.lexsort((j, -iou, i, truth[i, 0]))
    taken: dict[int, int] = {}
    used: set[int] = set()
    for row, column in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if row not in taken and column not in used:
            taken[row] = column
            used.add(column)
    rows = np.array(sorted(taken), dtype=np.int64)
    return rows, np.array([taken[row] for row in rows.tolist()], dtype=np.int64)


def best_pairs(
    n_true: int, n_predicted: int, i: NDArray[np.int64], j: NDArray[np.int64], score: NDArray[np.float64]
) -> Pairs:
    """Choose among allowed pairs, one to one: as many as possible, among those the largest sum of scores.

    Parameters
    ----------
    n_true, n_predicted
        How many there are of each.
    i, j, score
        The allowed pairs, and how good each is, in [0, 1]; shape (k,).

    Returns
    -------
    i, j : ndarray of int64
        The chosen pairs, sorted by i.
    """
    # Most pairs have no rival.
    alone = (np.bincount(i, minlength=1)[i] == 1) & (np.bincount(j, minlength=1)[j] == 1)
    rows: list[NDArray[np.int64]] = [i[alone]]
    columns: list[NDArray[np.int64]] = [j[alone]]
    i, j, score = i[~alone], j[~alone], score[~alone]
    # The others fall apart into small problems, since few intervals overlap; these are solved exactly.
    order = bounds = np.empty(0, dtype=np.int64)
    if len(i):
        nodes = n_true + n_predicted
        graph = coo_array((np.ones(len(i)), (i, j + n_true)), shape=(nodes, nodes))
        _, component = connected_components(graph, directed=False)
        order = np.argsort(component[i], kind="stable")
        bounds = np.flatnonzero(np.diff(component[i[order]])) + 1
    for part in np.split(order, bounds) if len(order) else []:
        true_rows, row = np.unique(i[part], return_inverse=True)
        predicted_rows, column = np.unique(j[part], return_inverse=True)
        # One more pair outweighs any gain in score: a sum of scores is below the number of pairs.
        weight = np.zeros((len(true_rows), len(predicted_rows)))
        weight[row, column] = min(weight.shape) + 1 + score[part]
        best_row, best_column = linear_sum_assignment(weight, maximize=True)
        allowed = weight[best_row, best_column] > 0
        rows.append(true_rows[best_row[allowed]])
        columns.append(predicted_rows[best_column[allowed]])
    out_i, out_j = np.concatenate(rows), np.concatenate(columns)
    by_truth = np.argsort(out_i, kind="stable")
    return out_i[by_truth], out_j[by_truth]
