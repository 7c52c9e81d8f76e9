"""Which part of a dataset a clip goes to: train, val or test, 70/15/15."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hum_shared.config.variants import SplitStrategy

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
SHARES = np.array([0.70, 0.15, 0.15])

_EXACT_TAPES = 10  # 3^10 ways are tried at once


def split(
    strategy: SplitStrategy,
    classes: Sequence[str],
    labels: Sequence[str],
    tapes: Sequence[str],
    rng: np.random.Generator,
) -> list[Part]:
    """Assign every clip to a part.

    All strategies but `proportional_by_tape` keep the 70/15/15 in the whole and, as far as whole clips allow, within
    each class, and:

    - `random`: no more than that,
    - `quality_balanced`: within each label (class and quality),
    - `clipwise_balanced`: within each tape,
    - `quality_and_clipwise_balanced`: within each label of each tape.

    `proportional_by_tape` puts whole tapes into parts.

    Parameters
    ----------
    classes, labels, tapes
        Of each clip; equal lengths.
    rng
        Decides everything that is left to chance.

    Returns
    -------
    list
        The part of each clip. No part is empty when there are at least three clips (three tapes for
        `proportional_by_tape`); with one or two the last parts are. No clips give an empty list.
    """
    if strategy == "proportional_by_tape":
        return split_by_tape(tapes, rng)
    strata: dict[SplitStrategy, list[tuple[str, ...]]] = {
        "random": [(c,) for c in classes],
        "quality_balanced": [(c, label) for c, label in zip(classes, labels, strict=True)],
        "clipwise_balanced": [(tape, c) for c, tape in zip(classes, tapes, strict=True)],
        "quality_and_clipwise_balanced": list(zip(tapes, classes, labels, strict=True)),
    }
    return split_by_stratum(strata[strategy], rng)


def split_by_stratum(strata: Sequence[tuple[str, ...]], rng: np.random.Generator) -> list[Part]:
    """Split so that each stratum, and the whole, keeps the shares to within about one clip.

    The clips are laid in a row, stratum by stratum, in random order within each. Along the row each clip goes to the
    part that lacks most of its share so far: any stretch of the row then is close to the shares, so that small strata
    balance each other instead of all being rounded the same way.
    """
    shuffled = rng.permutation(len(strata))
    row = sorted(shuffled.tolist(), key=lambda clip: strata[clip])  # stable: random within a stratum
    parts = np.zeros(len(strata), dtype=np.int64)
    counts = np.zeros(3)
    for position, clip in enumerate(row, start=1):
        part = int(np.argmax(SHARES * position - counts))
        parts[clip] = part
        counts[part] += 1
    for empty in range(min(3, len(strata))):
        if not (parts == empty).any():
            largest = int(np.argmax(np.bincount(parts, minlength=3)))
            parts[rng.choice(np.flatnonzero(parts == largest))] = empty
    return [PARTS[part] for part in parts]


def split_by_tape(tapes: Sequence[str], rng: np.random.Generator) -> list[Part]:
    """Split by whole tapes, with sizes as close to the shares (least squares) as tapes allow.

    Up to ten tapes all ways are tried; with more, tapes are placed from the largest to the smallest and then moved
    and swapped while that brings the sizes closer. Ties are left to chance.
    """
    if not tapes:
        return []
    sizes = Counter(tapes)
    order = sorted(sizes)
    order = [order[i] for i in rng.permutation(len(order))]
    counts = np.array([sizes[tape] for tape in order])
    assigned = _best_assignment(counts) if len(order) <= _EXACT_TAPES else _improved_assignment(counts)
    part_of = {tape: PARTS[part] for tape, part in zip(order, assigned.tolist(), strict=True)}
    return [part_of[tape] for tape in tapes]


def _best_assignment(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the part (0, 1, 2) of each tape, by trying all."""
    ways = np.array(list(product(range(3), repeat=len(counts))))
    sizes = np.stack([((ways == part) * counts).sum(axis=1) for part in range(3)], axis=1)
    cost = ((sizes - SHARES * counts.sum()) ** 2).sum(axis=1)
    for part in range(min(3, len(counts))):
        cost[~(ways == part).any(axis=1)] = np.inf
    return np.asarray(ways[np.argmin(cost)])


def _improved_assignment(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the part of each tape, by moves and swaps from a greedy start."""
    goal = SHARES * counts.sum()
    assigned = np.zeros(len(counts), dtype=np.int64)
    sizes = np.zeros(3)
    largest_first = np.argsort(-counts, kind="stable")
    for rank, tape in enumerate(largest_first):
        # One tape each for the start: later moves and swaps never empty a part.
        part = rank if rank < 3 else int(np.argmax(goal - sizes))
        assigned[tape] = part
        sizes[part] += counts[tape]
    improved = True
    while improved:
        improved = any(_improve(tape, counts, assigned, sizes, goal) for tape in range(len(counts)))
    return assigned


def _improve(
    tape: int,
    counts: NDArray[np.int64],
    assigned: NDArray[np.int64],
    sizes: NDArray[np.float64],
    goal: NDArray[np.float64],
) -> bool:
    """Move one tape, or swap it with another, where that helps most; changes `assigned` and `sizes`."""
    here = int(assigned[tape])
    # What tape `here` would give to another part: its own clips, less what it gets in exchange.
    partners = np.flatnonzero(assigned != here)
    moves = [(part, -1, int(counts[tape])) for part in range(3) if part != here]
    if np.count_nonzero(assigned == here) == 1:
        moves = []
    swaps = [(int(assigned[other]), int(other), int(counts[tape] - counts[other])) for other in partners]
    best, best_gain = None, 1e-9
    for part, other, given in moves + swaps:
        before = (sizes[here] - goal[here]) ** 2 + (sizes[part] - goal[part]) ** 2
        after = (sizes[here] - given - goal[here]) ** 2 + (sizes[part] + given - goal[part]) ** 2
        if before - after > best_gain:
            best, best_gain = (part, other, given), before - after
    if best is None:
        return False
    part, other, given = best
    assigned[tape] = part
    if other >= 0:
        assigned[other] = here
    sizes[here] -= given
    sizes[part] += given
    return True
