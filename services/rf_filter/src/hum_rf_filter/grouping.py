"""Which rows may never stand on both sides of a split, and splits that respect it.

Two selections of one tape share animals, microphone and background: a forest that has seen one knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from hum_shared.errors import InputError

Rows = NDArray[np.int64]

MAX_FOLDS = 5
BLOCKS_PER_TAPE = 10


@dataclass(frozen=True)
class Groups:
    """The group of each row, shape (n,), and what a group is."""

    ids: NDArray[np.int64]
    kind: Literal["tape", "time block"]


def group_rows(is_target: NDArray[np.bool_], tapes: NDArray[np.object_], times: NDArray[np.float64]) -> Groups:
    """Group rows by tape, or by stretches of time where tapes do not suffice.

    Tapes suffice when targets and noise both come from at least two of them: otherwise some fold would leave
    nothing of one kind to learn from. Then each tape is cut into ten stretches with as many moments each.

    Raises
    ------
    InputError
        When one of the two kinds is missing, or has less than two rows.
    """
    for kind, rows in (("target", is_target), ("noise", ~is_target)):
        if np.count_nonzero(rows) < 2:
            raise InputError(
                f"{np.count_nonzero(rows)} of {len(is_target)} rows are labelled {kind}; a forest learns from both "
                f"target and noise. Label at least 2 rows {kind}, better hundreds."
            )
    _, by_tape = np.unique(tapes.astype(str), return_inverse=True)
    if _spread(by_tape, is_target) >= 2:
        return Groups(by_tape, "tape")
    blocks = np.zeros(len(tapes), dtype=np.int64)
    for tape in np.unique(by_tape):
        rows = by_tape == tape
        moments, rank = np.unique(times[rows], return_inverse=True)
        blocks[rows] = tape * BLOCKS_PER_TAPE + rank * BLOCKS_PER_TAPE // len(moments)
    return Groups(blocks, "time block")


def folds(is_target: NDArray[np.bool_], groups: NDArray[np.int64], seed: int) -> list[tuple[Rows, Rows]]:
    """Return up to five pairs (rows to learn from, rows to judge); every row is judged once.

    Classes are spread as evenly as groups allow. Fewer folds where there are fewer groups or rows of a class, and
    where five would leave only one class to learn from.

    Raises
    ------
    InputError
        When not even two folds are possible.
    """
    for n_folds in range(min(MAX_FOLDS, len(np.unique(groups)), _rarer(is_target)), 1, -1):
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        found = list(splitter.split(np.zeros(len(groups)), is_target, groups))
        if all(_has_both(is_target[learn]) and len(judge) for learn, judge in found):
            return found
    raise InputError(
        "targets or noise all lie close together, so that no fold is left to judge them by. Label more of both, on "
        "more tapes."
    )


def held_out(is_target: NDArray[np.bool_], groups: Groups, seed: int) -> tuple[Rows, Rows]:
    """Return (rows to train on, rows to test on): about a fifth of the tapes.

    No row is held out when there are fewer than five tapes or rows of a class, when groups are not tapes, or when
    either part would hold one class only.
    """
    everything, nothing = np.arange(len(is_target)), np.empty(0, dtype=np.int64)
    if groups.kind != "tape" or min(len(np.unique(groups.ids)), _rarer(is_target)) < MAX_FOLDS:
        return everything, nothing
    splitter = StratifiedGroupKFold(MAX_FOLDS, shuffle=True, random_state=seed)
    for train, test in splitter.split(np.zeros(len(is_target)), is_target, groups.ids):
        if _has_both(is_target[test]) and _spread(groups.ids[train], is_target[train]) >= 2:
            return train, test
    return everything, nothing


def downsample(is_target: NDArray[np.bool_], tapes: NDArray[np.object_], neg_per_pos: float | None, seed: int) -> Rows:
    """Return the rows that remain when each tape keeps `neg_per_pos` noise rows per target row, in order.

    None keeps all. The chosen noise rows are a random sample of the tape's.
    """
    if neg_per_pos is None:
        return np.arange(len(is_target))
    rng = np.random.default_rng(seed)
    keep = is_target.copy()
    for tape in np.unique(tapes.astype(str)):
        of_tape = tapes == tape
        noise = np.flatnonzero(of_tape & ~is_target)
        allowed = round(neg_per_pos * np.count_nonzero(of_tape & is_target))
        keep[rng.permutation(noise)[:allowed]] = True
    return np.flatnonzero(keep)


def _rarer(is_target: NDArray[np.bool_]) -> int:
    """Return how many rows the less frequent class has."""
    return int(min(np.count_nonzero(is_target), np.count_nonzero(~is_target)))


def _spread(groups: NDArray[np.int64], is_target: NDArray[np.bool_]) -> int:
    """Return over how many groups the less widespread class is spread."""
    return min(len(np.unique(groups[is_target])), len(np.unique(groups[~is_target])))


def _has_both(is_target: NDArray[np.bool_]) -> bool:
    return bool(is_target.any() and not is_target.all())
