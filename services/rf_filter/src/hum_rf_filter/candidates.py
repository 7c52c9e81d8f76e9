"""Candidates of many runs: the distinct selections of their tables, and which of them match a true call.

Within a run, candidates and true calls of a tape are matched one to one, as the comparison of runs does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_rf_filter.tables import is_annotation_table, read_table, recording_of_table
from hum_shared import names
from hum_shared.audio import probe
from hum_shared.config.cfg import read_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import AudioError, InputError
from hum_shared.heard import by_tape
from hum_shared.index import CorpusIndex
from hum_shared.intervals import Intervals, as_intervals, inside
from hum_shared.layout import Benchmark, score_file
from hum_shared.matching import match
from hum_shared.recordings import RecordingFolder
from hum_shared.scores import read_score_meta
from hum_shared.selections import Selection
from hum_shared.words import listed

MIN_IOU = 0.4
"""Intersection over union that a candidate needs to match a true call."""
_WHOLE = as_intervals([(-np.inf, np.inf)])


@dataclass(frozen=True)
class RunTable:
    """An annotation table, the run it belongs to, and where that run's score tracks lie (None: nowhere)."""

    path: Path
    run: Path
    scores_dir: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """A selection that one or more runs report.

    Attributes
    ----------
    scores
        The score track it was found in; None where none is used.
    in_runs, matched
        In how many runs it stands, and in how many of these it matches a true call.
    call
        Number of the true call it matches; -1 for none.
    """

    selection: Selection
    scores: Path | None
    in_runs: int
    matched: int
    call: int


@dataclass(frozen=True)
class Candidates:
    """The distinct selections of all runs.

    Attributes
    ----------
    by_recording
        Recording's file → its candidates in time order.
    n_true
        True calls that the runs could have found, summed over runs.
    recordings
        Full name of every recording that the runs looked at and ground truth knows → its file, None where an
        empty table's recording is gone.
    warnings
        What was left out, one line each.
    """

    by_recording: Mapping[Path, Sequence[Candidate]]
    n_true: int
    recordings: Mapping[str, Path | None]
    warnings: Sequence[str] = field(default_factory=tuple)


def find_tables(runs: Path, scores: Path | None = None) -> list[RunTable]:
    """Return the annotation tables of every `…/evaluation/annotations/` below a folder, sorted.

    Parameters
    ----------
    scores
        Holds score tracks, or `<model>/<window and hop>/` folders of them as a benchmark does. None: scores are
        not wanted. A run with an `eval.cfg` takes them from where that says.

    Raises
    ------
    InputError
        When there are none, or no such folders.
    """
    if not runs.is_dir():
        raise InputError(f"{runs}: no such folder; --runs must be the folder of <model>/<variant>/ runs")
    folders = [
        path
        for path in runs.rglob("annotations")
        if path.parent.name == "evaluation"
        and path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(runs).parts)  # what a sync program moved away
    ]
    known = [_eval_cfg(folder.parent.parent).is_file() for folder in folders]
    if scores is not None and not scores.is_dir() and not (known and all(known)):
        raise InputError(f"{scores}: no such folder; --scores must be the folder of the score tracks")
    tables = [
        RunTable(path, folder.parent.parent, scores and _scores_of(folder.parent.parent, scores))
        for folder in folders
        for path in folder.iterdir()
        if is_annotation_table(path.name)
    ]
    if not tables:
        raise InputError(f"{runs}: no evaluation/annotations/ with tables below it. Run hum-evaluator first.")
    return sorted(tables, key=lambda table: table.path)


def find_candidates(tables: Sequence[RunTable], recordings: RecordingFolder, truth: CorpusIndex) -> Candidates:
    """Return the distinct selections of all tables that lie where ground truth is known.

    Raises
    ------
    HumError
        When a table, its recording or its score track cannot be found or read: a forest trained on the rest would
        be another one.
    """
    labelled = by_tape(truth.meta.recordings or ())
    tapes = {entry.tape for entry in truth.entries} | labelled.keys()
    heard: dict[tuple[Path, str], list[tuple[float, float]]] = defaultdict(list)
    reported: dict[tuple[Path, str], list[tuple[Path, Path | None, Selection]]] = defaultdict(list)
    looked_at: dict[str, Path | None] = {}
    unknown: dict[str, int] = defaultdict(int)
    outside = 0
    for table in tables:
        selections = [row.selection for row in read_table(table.path).rows]
        path = _recording_of(table.path, recordings, needed=bool(selections))
        origin = names.parse_recording(f"{recording_of_table(table.path.name)}.wav" if path is None else path.name)
        if origin.tape not in tapes:
            unknown[origin.name] += len(selections)
            continue
        looked_at.setdefault(origin.name, path)
        end_s = origin.end_s if path is None else origin.offset_s + probe(path).dur_s
        heard[table.run, origin.tape] += _scored_of(table, origin, np.inf if end_s is None else end_s)
        if path is None or not selections:
            continue
        # A tape that is known by its calls alone is labelled as a whole.
        in_label = inside(on_tape(path.name, selections).mean(axis=1), labelled.get(origin.tape, _WHOLE))
        outside += int(np.count_nonzero(~in_label))
        scores = _track_of(table, path.name) if in_label.any() else None
        reported[table.run, origin.tape] += [
            (path, scores, one) for one, kept in zip(selections, in_label, strict=True) if kept
        ]
    calls = _calls(truth)
    found: dict[Path, dict[tuple[object, ...], Candidate]] = defaultdict(dict)
    for (_, tape), rows in sorted(reported.items(), key=lambda item: str(item[0])):
        for (path, scores, selection), call in zip(rows, _matched_calls(rows, calls[tape]), strict=True):
            key = (*_order(selection), scores)
            known = found[path].get(key, Candidate(selection, scores, 0, 0, -1))
            found[path][key] = Candidate(
                known.selection, scores, known.in_runs + 1, known.matched + (call >= 0), max(known.call, call)
            )
    warnings = []
    if sum(unknown.values()):
        named = listed(sorted(unknown), 3)
        warnings.append(f"{sum(unknown.values())} candidates in recordings that ground truth does not know: {named}")
    if outside:
        warnings.append(f"{outside} candidates outside the labelled parts of their tapes are left out")
    return Candidates(
        {
            path: sorted(found[path].values(), key=lambda one: (_order(one.selection), str(one.scores)))
            for path in sorted(found)
        },
        sum(int(inside(calls[tape][1].mean(axis=1), as_intervals(parts)).sum()) for (_, tape), parts in heard.items()),
        dict(sorted(looked_at.items())),
        warnings,
    )


def on_tape(recording: str, selections: Sequence[Selection]) -> Intervals:
    """Return selections of a recording as intervals of tape time."""
    offset_s = names.parse_recording(recording).offset_s
    return as_intervals((offset_s + one.begin_s, offset_s + one.end_s) for one in selections)


def _matched_calls(
    rows: Sequence[tuple[Path, Path | None, Selection]], calls: tuple[NDArray[np.int64], Intervals]
) -> list[int]:
    """Return the number of the true call that each selection of a tape in one run matches; -1 for none."""
    numbers, true = calls
    i, j = match(true, np.concatenate([on_tape(path.name, [one]) for path, _, one in rows]), MIN_IOU)
    matched = np.full(len(rows), -1, dtype=np.int64)
    matched[j] = numbers[i]
    return matched.tolist()


def _calls(truth: CorpusIndex) -> Mapping[str, tuple[NDArray[np.int64], Intervals]]:
    """Return tape → numbers and intervals of its true calls."""
    by_tape: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(truth.entries):
        by_tape[entry.tape].append(number)

    def of_tape(rows: list[int]) -> tuple[NDArray[np.int64], Intervals]:
        spans = ((truth.entries[row].raw_start_s, truth.entries[row].raw_end_s) for row in rows)
        return np.array(rows, dtype=np.int64), as_intervals(spans)

    return defaultdict(lambda: of_tape([]), {tape: of_tape(rows) for tape, rows in by_tape.items()})


def _recording_of(table: Path, recordings: RecordingFolder, needed: bool) -> Path | None:
    try:
        return recordings.find(recording_of_table(table.name))
    except AudioError:
        if needed:
            raise
        return None


def _scores_of(run: Path, scores: Path) -> Path:
    """Return the folder of a run's score tracks.

    The run's own `eval.cfg` says it, where there is one: selections of training tapes come from tracks that the
    training wrote. Else it is `<model>/<window and hop>`, with which the variant's name begins.
    """
    cfg_path = _eval_cfg(run)
    if cfg_path.is_file():
        cfg = read_cfg(cfg_path, EvaluationCfg)
        return workspace_of(cfg_path).resolve(cfg.scores_dir or cfg.prediction_dir)
    model = scores / run.parent.name
    fitting = [path for path in model.iterdir() if run.name.startswith(path.name + "_")] if model.is_dir() else []
    return max(fitting, key=lambda path: len(path.name), default=scores)


def _eval_cfg(run: Path) -> Path:
    return Benchmark(run.absolute().parent.parent.parent).cfg(run.parent.name, run.name, "eval")


def _track_of(table: RunTable, recording: str) -> Path | None:
    if table.scores_dir is None:
        return None
    path = score_file(table.scores_dir, recording)
    if not path.is_file():
        raise InputError(f"{path}: no such score track. Run hum-predictor, or train without --scores.")
    return path


def _scored_of(table: RunTable, origin: names.RecordingName, end_s: float) -> list[tuple[float, float]]:
    """Return what was scored of a table's recording, in tape time: all of it unless its score track says less."""
    track = None if table.scores_dir is None else score_file(table.scores_dir, origin.name)
    scored_s = read_score_meta(track).scored_s if track is not None and track.is_file() else None
    if scored_s is None:
        return [(origin.offset_s, end_s)]
    return [(origin.offset_s + start, origin.offset_s + stop) for start, stop in scored_s]


def _order(selection: Selection) -> tuple[float, ...]:
    logit = selection.cnn_logit_mean
    segment = selection.begin_s, selection.end_s, selection.low_hz, selection.high_hz
    return (*segment, -np.inf if logit is None else logit)
