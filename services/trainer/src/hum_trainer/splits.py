"""Which part of a dataset a clip goes to: train, val or test, 70/15/15."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hum_shared.config.variants import SplitStrategy

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
SHARES = np.array([0.70, 0.15, 0.15])


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
        `proportional_by_tape`); with one or two the last parts are. Nor does a part lack a class that has three clips,
        where that leaves it within two clips of its share (tapes decide with `proportional_by_tape`). No clips give an
        empty list.
    """
    if strategy == "proportional_by_tape":
        return split_by_tape(tapes, rng)
    strata: dict[SplitStrategy, list[tuple[str, ...]]] = {
        "random": [(c,) for c in classes],
        "quality_balanced": [(c, label) for c, label in zip(classes, labels, strict=True)],
        "clipwise_balanced": [(tape, c) for c, tape in zip(classes, tapes, strict=True)],
        "quality_and_clipwise_balanced": list(zip(tapes, classes, labels, strict=True)),
    }
    return _with_every_class(split_by_stratum(strata[strategy], rng), classes, rng)


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


def _with_every_class(parts: Sequence[Part], classes: Sequence[str], rng: np.random.Generator) -> list[Part]:
    """Exchange clips so that every part holds each class that has three clips: a test without targets says nothing.

    For each clip that goes to a part another one comes back, of a class that can spare one there. Where none can, parts
    may end up to two clips off their shares.
    """
    names, of_clip = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    part = np.array([PARTS.index(one) for one in parts], dtype=np.int64)
    counts = np.zeros((len(names), len(PARTS)), dtype=np.int64)
    np.add.at(counts, (of_clip, part), 1)

    def move(kind: int, source: int, target: int) -> None:
        part[rng.choice(np.flatnonzero((of_clip == kind) & (part == source)))] = target
        counts[kind, source] -= 1
        counts[kind, target] += 1

    for kind in np.flatnonzero(counts.sum(axis=1) >= len(PARTS)).tolist():
        for lacking in np.flatnonzero(counts[kind] == 0).tolist():
            source, most = int(np.argmax(counts[kind])), int(np.argmax(counts[:, lacking]))
            if counts[most, lacking] > 1 or 0 < counts[most].sum() < len(PARTS):
                move(most, lacking, source)
            elif counts[:, source].sum() - 1 <= SHARES[source] * len(parts) - 2:
                continue
            move(kind, source, lacking)
    return [PARTS[one] for one in part.tolist()]


def split_by_tape(tapes: Sequence[str], rng: np.random.Generator) -> list[Part]:
    """Split by whole tapes, with sizes as close to the shares (least squares) as tapes allow.

    Ties are left to chance.
    """
    if not tapes:
        return []
    sizes = Counter(tapes)
    order = sorted(sizes)
    order = [order[i] for i in rng.permutation(len(order))]
    counts = np.array([sizes[tape] for tape in order])
    part_of = {tape: PARTS[part] for tape, part in zip(order, _closest_assignment(counts).tolist(), strict=True)}
    return [part_of[tape] for tape in tapes]


def _closest_assignment(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the part (0, 1, 2) of each tape for which the sizes come closest to the shares.

    Exact: which sizes of val and test can be reached is computed tape by tape. None farther from its share than a
    quick assignment's sizes all together needs to be looked at.
    """
    n_parts, total = min(3, len(counts)), int(counts.sum())
    goal = SHARES * total
    quick = np.zeros(3)
    for rank, count in enumerate(np.sort(counts)[::-1]):
        quick[rank if rank < n_parts else int(np.argmax(goal - quick))] += count
    farthest = np.sqrt(((quick - goal) ** 2).sum())
    _, most_val, most_test = np.minimum(total, np.ceil(goal + farthest)).astype(int).tolist()

    reached = np.zeros((most_val + 1, most_test + 1), dtype=bool)
    reached[0, 0] = True
    before = []
    for count in counts.tolist():
        before.append(reached)
        reached = reached.copy()
        reached[count:] |= before[-1][:-count]
        reached[:, count:] |= before[-1][:, :-count]
    val, test = np.nonzero(reached)
    sizes = np.column_stack((total - val - test, val, test))
    cost = ((sizes - goal) ** 2).sum(axis=1)
    cost[(sizes[:, :n_parts] == 0).any(axis=1)] = np.inf
    _, in_val, in_test = sizes[np.argmin(cost)].tolist()

    assigned = np.zeros(len(counts), dtype=np.int64)
    for tape in reversed(range(len(counts))):
        count = int(counts[tape])
        if before[tape][in_val, in_test]:
            continue
        if in_val >= count and before[tape][in_val - count, in_test]:
            assigned[tape], in_val = 1, in_val - count
        else:
            assigned[tape], in_test = 2, in_test - count
    return assigned
