"""A training corpus as recipes see it: recordings with the calls in them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.index import CorpusEntry, CorpusIndex, read_index
from hum_shared.intervals import Intervals, as_intervals, overlapping_pairs
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

    def with_calls(self, more: Intervals, quality_of_more: Sequence[int | None] | None = None) -> LabelledRecording:
        """Return the recording with further calls added, of unknown quality where that is not given."""
        calls = np.concatenate((self.calls, more))
        order = np.lexsort((calls[:, 1], calls[:, 0]))
        quality = (*self.quality, *([None] * len(more) if quality_of_more is None else quality_of_more))
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
        """The calls that lie inside; none is ever cut by a stretch of a :class:`~hum_trainer.folds.Fold`."""
        calls = self.recording.calls
        return calls[(calls[:, 1] > self.start_s) & (calls[:, 0] < self.end_s)]


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
    recordings, offsets_s = [], []
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
        offsets_s.append(said.offset_s if said is not None else names.parse_recording(name).offset_s)
    return _with_neighbours_calls(recordings, offsets_s)


def _with_neighbours_calls(
    recordings: Sequence[LabelledRecording], offsets_s: Sequence[float]
) -> list[LabelledRecording]:
    """Return recordings with the calls that were labelled in another one of the same tape, where both share time.

    Those that share time with a call that is there already are the same calls; of a call that is cut by the end of a
    recording at least half must lie in it. Without the others a call would count as background where it was not
    labelled a second time.
    """
    of_tape: dict[str, list[int]] = {}
    for number, recording in enumerate(recordings):
        of_tape.setdefault(recording.tape, []).append(number)
    found = list(recordings)
    for numbers in (numbers for numbers in of_tape.values() if len(numbers) > 1):
        for number in numbers:
            one = recordings[number]
            others = [recordings[other].calls + offsets_s[other] - offsets_s[number] for other in numbers]
            quality = [each for other in numbers for each in recordings[other].quality]
            whole = np.concatenate(others)
            calls = np.clip(whole, 0, one.dur_s)
            new = 2 * (calls[:, 1] - calls[:, 0]) >= whole[:, 1] - whole[:, 0]
            new[overlapping_pairs(calls, one.calls)[0]] = False
            end_s = -np.inf
            for row in np.flatnonzero(new)[np.argsort(calls[new, 0], kind="stable")]:
                if calls[row, 0] < end_s:
                    new[row] = False
                else:
                    end_s = calls[row, 1]
            if new.any():
                found[number] = one.with_calls(calls[new], tuple(itertools.compress(quality, new.tolist())))
    return found


def _paths(root: Path, index: CorpusIndex, source: str) -> dict[str, Path]:
    """Return full file name → file of every labelled recording."""
    paths = {entry.recording: root / entry.clip_path for entry in index.entries}
    folders = find_folders(root)
    if index.meta.recordings is None:
        if folders.labelled is not None:
            paths |= {path.name: path for path in audio_files(folders.labelled)}
    else:
        # Recordings without calls have no entry that names their folder: it is that of the others, or one beside.
        places = [*dict.fromkeys(path.parent for path in paths.values())]
        places += [folder for folder in (folders.labelled, folders.raw, root) if folder is not None]
        unplaced = []
        for info in index.meta.recordings:
            if info.name not in paths:
                found = next((place / info.name for place in places if (place / info.name).is_file()), None)
                paths[info.name] = found or places[0] / info.name
                unplaced += [info.name] if found is None else []
        if unplaced and (labelled := folders.labelled or folders.raw) is not None:
            elsewhere = {path.name: path for path in audio_files(labelled)}
            paths |= {name: elsewhere[name] for name in unplaced if name in elsewhere}
    missing = sorted(str(path) for path in paths.values() if not path.is_file())
    if missing:
        raise InputError(
            f"{source}: {len(missing)} of {len(paths)} recordings are missing, first {missing[0]}. "
            "Name the corpus folder as data_dir, or index the corpus again."
        )
    return paths
