"""A training corpus as recipes see it: recordings with the calls in them, and folds of whole tapes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.index import CorpusEntry, CorpusIndex, read_index
from hum_shared.intervals import Intervals, as_intervals, merged
from hum_trainer.corpus import audio_files, find_folders

_DUR_TOLERANCE_S = 0.002  # indexes hold rounded durations


@dataclass(frozen=True)
class LabelledRecording:
    """A recording and all the calls that a person found in it.

    Attributes
    ----------
    name
        Full file name.
    path
        The file.
    tape
        The raw recording's full name.
    dur_s
        Length of the file.
    sample_rate
        Hz, the file's own.
    sha256
        Digest of the file's bytes.
    calls
        Start and end in seconds of the recording, shape (n, 2), sorted; of every quality. They may overlap.
    quality
        One per call; None where it is unknown.
    """

    name: str
    path: Path
    tape: str
    dur_s: float
    sample_rate: int
    sha256: str
    calls: Intervals
    quality: tuple[int | None, ...]

    def with_calls(self, more: Intervals) -> LabelledRecording:
        """Return the recording with further calls, of unknown quality, added."""
        calls = np.concatenate((self.calls, more))
        order = np.lexsort((calls[:, 1], calls[:, 0]))
        quality = (*self.quality, *[None] * len(more))
        return replace(self, calls=calls[order], quality=tuple(quality[i] for i in order))


@dataclass(frozen=True)
class Stretch:
    """A part of a recording, in seconds of it."""

    recording: LabelledRecording
    start_s: float
    end_s: float

    @property
    def dur_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    @property
    def calls(self) -> Intervals:
        """The calls that lie inside; none is ever cut by a stretch of a :class:`Fold`."""
        calls = self.recording.calls
        return calls[(calls[:, 1] > self.start_s) & (calls[:, 0] < self.end_s)]


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


def read_labelled_recordings(corpus_index: Path, root: Path | None = None) -> list[LabelledRecording]:
    """Read all labelled recordings of a corpus; see :func:`labelled_recordings`.

    Parameters
    ----------
    corpus_index
        `corpus_index.json`.
    root
        The corpus; None: the folder of `corpus_index`.
    """
    return labelled_recordings(read_index(corpus_index, CorpusIndex), root or corpus_index.parent, str(corpus_index))


def labelled_recordings(index: CorpusIndex, root: Path, source: str) -> list[LabelledRecording]:
    """Return all labelled recordings of a corpus, those without calls too, sorted by name.

    They are the index's `meta.recordings`; of an old index without that list, all files in the folder of
    labelled recordings.

    Parameters
    ----------
    root
        The corpus.
    source
        Named in errors.

    Raises
    ------
    InputError
        When a recording is missing, has changed since it was indexed, or there are no calls at all.
    AudioError
        When a recording cannot be read.
    """
    if not index.entries:
        raise InputError(f"{source}: holds no calls; there is nothing to learn from. Label some, index again.")
    calls: dict[str, list[CorpusEntry]] = {}
    for entry in index.entries:
        calls.setdefault(entry.recording, []).append(entry)
    known = {info.name: info for info in index.meta.recordings or []}
    recordings = []
    for name, path in sorted(_paths(root, index, source).items()):
        info, digest = probe(path), sha256_file(path)
        said = known.get(name)
        if said is not None and (said.sha256 not in (None, digest) or abs(said.dur_s - info.dur_s) > _DUR_TOLERANCE_S):
            raise InputError(f"{path}: has changed since the corpus was indexed. Index it again.")
        entries = sorted(calls.get(name, []), key=lambda entry: (entry.clip_start_s, entry.clip_end_s))
        times = as_intervals((entry.clip_start_s, min(entry.clip_end_s, info.dur_s)) for entry in entries)
        kept = times[:, 1] > times[:, 0]
        tape = said.tape if said is not None else entries[0].tape if entries else names.parse_recording(name).tape
        quality = tuple(entry.quality for entry, inside in zip(entries, kept.tolist(), strict=True) if inside)
        recordings.append(
            LabelledRecording(name, path, tape, info.dur_s, info.sample_rate, digest, times[kept], quality)
        )
    return recordings


def inside_calls(calls: Intervals, times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which times lie inside a call (its start counts, its end does not); same shape as `times_s`."""
    busy = merged(calls)
    at = np.searchsorted(busy[:, 0], times_s, side="right") - 1
    within = np.zeros(np.shape(times_s), dtype=np.bool_)
    some = at >= 0
    within[some] = times_s[some] < busy[at[some], 1]
    return within


def calls_per_tape(recordings: Sequence[LabelledRecording]) -> dict[str, int]:
    """Return tape → number of calls, also tapes without any; sorted by name."""
    counts: Counter[str] = Counter()
    for recording in recordings:
        counts[recording.tape] += len(recording.calls)
    return dict(sorted(counts.items()))


def tape_folds(calls: Mapping[str, int], n_folds: int, seed: int) -> list[tuple[str, ...]]:
    """Deal tapes into folds with as equal numbers of calls as whole tapes allow.

    The tape with the most calls first, each goes to the fold with the fewest so far (Graham 1969). Chance decides
    ties and the order of the folds.

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
    for tape in order:
        fewest = min(range(n_folds), key=lambda fold: (sum(calls[t] for t in folds[fold]), len(folds[fold]), fold))
        folds[fewest].append(tape)
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


def _paths(root: Path, index: CorpusIndex, source: str) -> dict[str, Path]:
    """Return full file name → file of every labelled recording."""
    paths = {entry.recording: root / entry.clip_path for entry in index.entries}
    folders = find_folders(root)
    if index.meta.recordings is None:
        if folders.labelled is not None:
            paths |= {path.name: path for path in audio_files(folders.labelled)}
    else:
        # Recordings without calls have no entry that names their folder: it is that of the others.
        places = [*dict.fromkeys(path.parent for path in paths.values())]
        places += [folder for folder in (folders.labelled, folders.raw, root) if folder is not None]
        for info in index.meta.recordings:
            if info.name not in paths:
                found = next((place / info.name for place in places if (place / info.name).is_file()), None)
                paths[info.name] = found or places[0] / info.name
    missing = sorted(str(path) for path in paths.values() if not path.is_file())
    if missing:
        raise InputError(
            f"{source}: {len(missing)} of {len(paths)} recordings are missing, first {missing[0]}. "
            "Name the corpus folder as data_dir, or index the corpus again."
        )
    return paths


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
