"""Ground truth of a benchmark: which calls each tape holds, and which recordings a corpus index knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hum_shared import heard, names
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex, PredictionEntry, RecordingInfo, read_index
from hum_shared.intervals import Intervals, as_intervals, inside, overlapping_pairs


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

    @cached_property
    def _labelled(self) -> dict[str, Intervals]:
        return heard.by_tape(self.recordings or ())

    def labelled(self, tape: str) -> Intervals | None:
        """Return what was labelled of a tape, in tape time, sorted; None: all of it, as far as known."""
        return self._labelled.get(tape)

    def with_digests(self, scored: Sequence[RecordingInfo] | None) -> list[RecordingInfo]:
        """Return what was scored with the digests that the corpus knows and an index made of text logs lacks.

        Where an index does not say what was scored, it is what was labelled; or the tapes, of which no more is known.
        """
        labelled = {recording.name: recording.sha256 for recording in self.recordings or ()}
        return [
            recording.model_copy(update={"sha256": labelled.get(recording.name)})
            if recording.sha256 is None
            else recording
            for recording in scored or self.recordings or ()
        ] or [RecordingInfo(name=tape, tape=tape, offset_s=0, dur_s=0) for tape in sorted(self.tapes)]

    def knows(self, entries: Sequence[PredictionEntry]) -> list[bool]:
        """Return whether each selection lies (with its middle) in what was labelled, or on a call."""
        known = np.zeros(len(entries), dtype=np.bool_)
        rows_of: dict[str, list[int]] = {}
        for row, entry in enumerate(entries):
            rows_of.setdefault(tape_of(entry), []).append(row)
        for tape in rows_of.keys() & self.tapes:
            rows, labelled = np.array(rows_of[tape]), self.labelled(tape)
            if labelled is None:
                known[rows] = True
                continue
            spans = as_intervals(entries[row].tape_interval_s() for row in rows.tolist())
            known[rows] = inside(spans.mean(axis=1), labelled)
            known[rows[overlapping_pairs(spans, self.intervals(tape))[0]]] = True
        return known.tolist()

    def covers(self, recording: RecordingInfo) -> bool:
        """Whether a recording was labelled, or shares tape time with one that was."""
        if recording.tape not in self.tapes:
            return False
        labelled = self.labelled(recording.tape)
        return labelled is None or len(overlapping_pairs(heard.stretches(recording), labelled)[0]) > 0

    def never_scored(self, scored: Sequence[RecordingInfo]) -> list[str]:
        """Return the labelled recordings that, or calls of which, lie in none of the scored recordings, sorted.

        One without calls counts too: the false alarms that it would have given are missing.
        """
        listened, nothing = heard.by_tape(scored), as_intervals([])
        missing: set[str] = set()
        for tape, calls in self.calls.items():
            rows, _, _ = overlapping_pairs(self.intervals(tape), listened.get(tape, nothing))
            missing |= {calls[row].recording for row in set(range(len(calls))) - set(rows.tolist())}
        for recording in self.recordings or ():
            rows, _, _ = overlapping_pairs(heard.stretches(recording), listened.get(recording.tape, nothing))
            if len(rows) == 0:
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
