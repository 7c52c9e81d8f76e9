"""Ways of parting a corpus into what networks learn from and are validated on: whole tapes, or blocks of one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hum_shared.errors import InputError
from hum_shared.intervals import merged
from hum_trainer.labelled_recordings import LabelledRecording, Stretch


@dataclass(frozen=True)
class Fold:
    """What one network learns from and what it is validated on.

    Attributes
    ----------
    kind
        ``tape``: whole tapes. ``block``: the calls lie on one tape only, so that training and validation are
        stretches of the same tape; figures from such folds say nothing about other tapes.
    train, val
        Stretches that share no time; with ``tape``, no tape either.
    """

    kind: Literal["tape", "block"]
    train: tuple[Stretch, ...]
    val: tuple[Stretch, ...]


def calls_per_tape(recordings: Sequence[LabelledRecording]) -> dict[str, int]:
    """Return tape → number of calls, also tapes without any; sorted by name."""
    counts: Counter[str] = Counter()
    for recording in recordings:
        counts[recording.tape] += len(recording.calls)
    return dict(sorted(counts.items()))


def tape_folds(calls: Mapping[str, int], n_folds: int, seed: int) -> list[tuple[str, ...]]:
    """Deal tapes into folds with as equal numbers of calls as whole tapes allow.

    The tape with the most calls first, each goes to the fold with the fewest so far (Graham 1969); tapes without calls
    are dealt out evenly. Chance decides ties and the order of the folds.

    Parameters
    ----------
    calls
        Tape → number of calls.
    n_folds
        At least 2; there are never more folds than tapes with calls.

    Returns
    -------
    list
        The validation tapes of each fold, sorted. Every tape stands in exactly one. With fewer than two tapes
        that hold calls there are no such folds: the list is empty.
    """
    if n_folds < 2:
        raise ValueError(f"{n_folds} folds: at least 2 are needed")
    n_folds = min(n_folds, sum(count > 0 for count in calls.values()))
    if n_folds < 2:
        return []
    rng = np.random.default_rng(seed)
    order = sorted(calls)
    order = [order[i] for i in rng.permutation(len(order))]
    order.sort(key=lambda tape: -calls[tape])  # stable: ties stay in random order
    folds: list[list[str]] = [[] for _ in range(n_folds)]

    def load(fold: int, tape: str) -> tuple[int, int, int]:
        silent = sum(calls[other] == 0 for other in folds[fold])
        return (sum(calls[other] for other in folds[fold]) if calls[tape] else silent, len(folds[fold]), fold)

    for tape in order:
        folds[min(range(n_folds), key=lambda fold: load(fold, tape))].append(tape)
    return [tuple(sorted(folds[i])) for i in rng.permutation(n_folds)]


def plan_folds(recordings: Sequence[LabelledRecording], n_folds: int, seed: int) -> list[Fold]:
    """Return folds of whole tapes; where calls lie on one tape only, folds of contiguous time blocks.

    Parameters
    ----------
    recordings
        At least one with a call.
    n_folds
        At least 2; fewer come back where there are fewer tapes, or fewer blocks with calls. Every stretch is in
        the `val` of exactly one.

    Raises
    ------
    InputError
        When there are fewer than two calls: none would be left to validate on.
    """
    by_tape = tape_folds(calls_per_tape(recordings), n_folds, seed)
    if by_tape:
        whole = [Stretch(recording, 0.0, recording.dur_s) for recording in recordings]
        return [
            Fold(
                "tape",
                train=tuple(part for part in whole if part.recording.tape not in val),
                val=tuple(part for part in whole if part.recording.tape in val),
            )
            for val in by_tape
        ]
    blocks = _blocks_of_time(recordings, n_folds)
    if len(_numbers_with_calls(blocks)) < 2:  # all calls lie close together
        blocks = _blocks_of_calls(recordings, n_folds)
    numbers = _numbers_with_calls(blocks)
    if len(numbers) < 2:
        n_calls = sum(len(recording.calls) for recording in recordings)
        raise InputError(f"{n_calls} calls on one tape cannot be split into training and validation. Label more.")
    # A block without calls validates with the next one that has some: every stretch is in the val of one fold.
    owned = [(min((n for n in numbers if n >= number), default=numbers[-1]), part) for number, part in blocks]
    return [
        Fold(
            "block",
            train=tuple(part for owner, part in owned if owner != number),
            val=tuple(part for owner, part in owned if owner == number),
        )
        for number in numbers
    ]


def _numbers_with_calls(blocks: Sequence[tuple[int, Stretch]]) -> list[int]:
    return sorted({number for number, part in blocks if len(part.calls)})


def _blocks_of_time(recordings: Sequence[LabelledRecording], n_blocks: int) -> list[tuple[int, Stretch]]:
    """Cut recordings into contiguous blocks of about equal length, never through a call; (number, block)."""
    blocks = []
    for recording in recordings:
        busy = merged(recording.calls)
        cuts = [0.0]
        for wanted in np.linspace(0, recording.dur_s, n_blocks + 1)[1:-1].tolist():
            inside = busy[(busy[:, 0] < wanted) & (busy[:, 1] > wanted)]
            nearest = min(inside.ravel().tolist(), key=lambda edge: abs(edge - wanted), default=wanted)
            cuts.append(max(cuts[-1], nearest))
        blocks += list(enumerate(_between(recording, cuts)))
    return [(number, part) for number, part in blocks if part.end_s > part.start_s]


def _blocks_of_calls(recordings: Sequence[LabelledRecording], n_blocks: int) -> list[tuple[int, Stretch]]:
    """Cut recordings between calls into blocks with about as many calls each; (number, block)."""
    parts = []
    for recording in recordings:
        busy = merged(recording.calls)
        shares = {round(len(busy) * number / n_blocks) for number in range(1, n_blocks)} - {0, len(busy)}
        cuts = [0.0, *(float(busy[row - 1, 1] + busy[row, 0]) / 2 for row in sorted(shares))]
        parts += _between(recording, cuts)
    numbers = np.cumsum([len(part.calls) > 0 for part in parts]) % n_blocks
    return list(zip(numbers.tolist(), parts, strict=True))


def _between(recording: LabelledRecording, cuts: Sequence[float]) -> list[Stretch]:
    return [Stretch(recording, *edges) for edges in itertools.pairwise([*cuts, recording.dur_s])]
