"""Labelled hums as the corpus gives them, before they are checked against their clips: from cut-out files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import AudioError, NameFormatError
from hum_trainer.corpus import Tick, audio_files


@dataclass(frozen=True)
class LabelledHum:
    """One hum that a person labelled.

    Attributes
    ----------
    source
        What reports call it: its file, or its selection table and row.
    hum_path
        The cut-out file, relative to the corpus; None when there is none.
    clip
        Full file name of the recording it lies in.
    start_s, end_s
        Seconds from the start of that recording.
    quality
        None when unknown.
    file_dur_s
        Length of the cut-out file; None without one.
    defect
        Why the cut-out file cannot be read; None when it can.
    """

    source: str
    hum_path: str | None
    clip: str
    start_s: float
    end_s: float
    quality: int | None
    file_dur_s: float | None = None
    defect: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something about a label that a person should look at.

    Attributes
    ----------
    kind
        `clip missing`, `outside clip`, `length`, `duplicate`, `unreadable`, `name` or `table`.
    file
        The file it is about.
    message
        One line that starts with `file`.
    left_out
        Whether the hum is not in the index.
    tape, raw_start_s, raw_end_s
        Where the hum is said to be (tape time), so that no noise is taken from there; None when unknown.
    """

    kind: str
    file: str
    message: str
    left_out: bool
    tape: str | None = None
    raw_start_s: float | None = None
    raw_end_s: float | None = None


def read_segmented(root: Path, segmented: Path, tick: Tick) -> tuple[list[LabelledHum], list[Problem]]:
    """Read names and headers of the cut-out hums in and below `segmented`.

    Returns
    -------
    hums
        In the order of their paths.
    problems
        Audio files whose name is no hum's.
    """
    hums: list[LabelledHum] = []
    problems: list[Problem] = []
    for path in audio_files(segmented):
        relative = path.relative_to(root).as_posix()
        try:
            said = names.parse_hum(path.name)
        except NameFormatError as error:
            problems.append(Problem("name", relative, f"{relative}: left out: {error}", left_out=True))
            continue
        dur_s = defect = None
        try:
            dur_s = probe(path).dur_s
        except AudioError as error:
            defect = str(error).removeprefix(f"{path}: ")
        hums.append(LabelledHum(relative, relative, said.clip, said.start_s, said.end_s, said.quality, dur_s, defect))
        tick()
    return hums, problems
