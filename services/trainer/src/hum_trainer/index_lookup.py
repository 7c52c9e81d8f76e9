"""What a corpus index knows: where hums are on the tapes, and which cut-out files it has never seen."""

from __future__ import annotations

from pathlib import Path

from hum_shared import names
from hum_shared.index import CorpusIndex
from hum_shared.intervals import Intervals, as_intervals
from hum_trainer.corpus import audio_files, find_folders
from hum_trainer.labels import Problem


def busy_on_tapes(index: CorpusIndex) -> dict[str, Intervals]:
    """Return for each tape where hums are (tape time), also those that are not entries because of a problem."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for entry in index.entries:
        pairs.setdefault(entry.tape, []).append((entry.raw_start_s, entry.raw_end_s))
    for problem in _problems(index):
        if problem.tape is not None and problem.raw_start_s is not None and problem.raw_end_s is not None:
            pairs.setdefault(names.composed(problem.tape), []).append((problem.raw_start_s, problem.raw_end_s))
    return {tape: as_intervals(found) for tape, found in pairs.items()}


def not_indexed(root: Path, index: CorpusIndex) -> list[str]:
    """Return the cut-out hums in `root` that the index does not know: it is older than they are."""
    segmented = find_folders(root).segmented
    if segmented is None or all(entry.hum_path is None for entry in index.entries):
        return []
    known = {entry.hum_path for entry in index.entries} | {problem.file for problem in _problems(index)}
    found = (path.relative_to(root).as_posix() for path in audio_files(segmented))
    return [path for path in found if path not in known]


def _problems(index: CorpusIndex) -> list[Problem]:
    return [Problem(**found) for found in (index.meta.model_extra or {}).get("problems", [])]
