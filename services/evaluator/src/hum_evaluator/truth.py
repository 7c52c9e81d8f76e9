"""Ground truth of a benchmark: which calls each tape holds, and which recordings a corpus index knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex, PredictionEntry, RecordingInfo, read_index
from hum_shared.intervals import Intervals, as_intervals, overlapping_pairs


@dataclass(frozen=True)
class GroundTruth:
    """The labelled calls of a corpus.

    Attributes
    ----------
    calls
        Tape → its calls, in time order.
    recordings
        Every recording that was labelled, also those without calls; None when the index does not say.
    """

    calls: dict[str, tuple[CorpusEntry, ...]]
    recordings: tuple[RecordingInfo, ...] | None

    @property
    def tapes(self) -> set[str]:
        """All tapes that the corpus knows."""
        return {*self.calls, *(recording.tape for recording in self.recordings or ())}

    def intervals(self, tape: str) -> Intervals:
        """Return the calls of a tape in tape time, shape (n, 2)."""
        return as_intervals((call.raw_start_s, call.raw_end_s) for call in self.calls.get(tape, ()))

    def qualities(self, tape: str) -> list[int | None]:
        """Return the quality of each call of a tape."""
        return [call.quality for call in self.calls.get(tape, ())]

    def knows(self, entry: PredictionEntry) -> bool:
        """Whether a selection lies in a recording that was labelled, or in one that shares tape time with it."""
        tape = tape_of(entry)
        if tape not in self.tapes:
            return False
        if self.recordings is None or entry.recording is None:
            return True
        labelled = [recording for recording in self.recordings if recording.tape == tape]
        if not labelled:
            return True  # a tape that is known by its calls alone
        own = names.parse_recording(entry.recording)
        end_s = np.inf if own.end_s is None else own.end_s
        return any(own.offset_s < _end_s(other) and other.offset_s < end_s for other in labelled)

    def covers(self, recording: RecordingInfo) -> bool:
        """Whether a recording was labelled, or shares tape time with one that was."""
        if recording.tape not in self.tapes:
            return False
        labelled = [other for other in self.recordings or () if other.tape == recording.tape]
        if not labelled:
            return True  # a tape that is known by its calls alone
        return any(recording.offset_s < _end_s(other) and other.offset_s < _end_s(recording) for other in labelled)

    def never_scored(self, scored: Sequence[RecordingInfo]) -> list[str]:
        """Return the labelled recordings that, or calls of which, lie in none of the scored recordings, sorted.

        One without calls counts too: the false alarms that it would have given are missing.
        """
        heard: dict[str, Intervals] = {
            tape: as_intervals((part.offset_s, _end_s(part)) for part in scored if part.tape == tape)
            for tape in self.tapes
        }
        missing: set[str] = set()
        for tape, calls in self.calls.items():
            inside, _, _ = overlapping_pairs(self.intervals(tape), heard[tape])
            missing |= {calls[row].recording for row in set(range(len(calls))) - set(inside.tolist())}
        for recording in self.recordings or ():
            inside, _, _ = overlapping_pairs(
                as_intervals([(recording.offset_s, _end_s(recording))]), heard[recording.tape]
            )
            if len(inside) == 0:
                missing.add(recording.name)
        return sorted(missing)


def read_truth(index_file: Path) -> GroundTruth:
    """Read the ground truth from a `corpus_index.json`.

    Raises
    ------
    InputError
        When the file cannot be read or is no corpus index.
    """
    if not index_file.exists():
        raise InputError(f"{index_file}: no such file. Write it with hum-trainer index-corpus <corpus>.")
    index = read_index(index_file, CorpusIndex)
    calls: dict[str, list[CorpusEntry]] = {}
    for entry in sorted(index.entries, key=lambda entry: (entry.raw_start_s, entry.raw_end_s, entry.uid)):
        calls.setdefault(entry.tape, []).append(entry)
    recordings = None if index.meta.recordings is None else tuple(index.meta.recordings)
    return GroundTruth({tape: tuple(entries) for tape, entries in sorted(calls.items())}, recordings)


def tape_of(entry: PredictionEntry) -> str:
    """Return the tape of a selection; old files name the clip there."""
    return names.parse_recording(entry.tape).tape


def _end_s(recording: RecordingInfo) -> float:
    return recording.offset_s + recording.dur_s
