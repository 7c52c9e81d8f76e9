"""Comparing runs: every model × variant × layer of a benchmark against its ground truth."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hum_evaluator.metrics import RUN_COLUMNS, TAPE_COLUMNS, Outcome, Row, outcome, run_row, tape_row
from hum_evaluator.truth import GroundTruth, read_truth, tape_of
from hum_shared.errors import InputError
from hum_shared.files import write_text
from hum_shared.index import PredictionEntry, PredictionIndex, read_index
from hum_shared.intervals import as_intervals
from hum_shared.matching import Matching
from hum_shared.progress import track

LAYERS = ("evaluation", "postrf")
Unknown = Literal["count", "ignore", "error"]

_RUN_KEYS = ("model", "variant", "layer")
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Rules:
    """How runs are compared.

    Attributes
    ----------
    min_iou
        Intersection over union that a match needs, in (0, 1].
    layers
        Which of `LAYERS`.
    matching
        See :func:`hum_shared.matching.match`.
    unknown
        What becomes of predictions in recordings that the ground truth does not know: counted as false
        positives, left out, or refused.
    allow_missing
        Calls in recordings that were never scored count as missed instead of being refused.
    strict
        Warnings are errors.
    """

    min_iou: float = 0.40
    layers: tuple[str, ...] = LAYERS
    matching: Matching = "optimal"
    unknown: Unknown = "count"
    allow_missing: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min_iou <= 1:
            raise InputError(f"--iou {self.min_iou:g}: an IoU threshold lies above 0 and is at most 1")


@dataclass
class Comparison:
    """Rows of the two tables, and what people should know about them.

    Attributes
    ----------
    runs
        One row per run and layer: `RUN_COLUMNS`, model, variant, layer.
    tapes
        One row per run, layer and tape: `TAPE_COLUMNS`, tape, model, variant, layer.
    warnings
        One line each; an error with `strict`.
    notes
        One line each.
    """

    runs: list[Row] = field(default_factory=list)
    tapes: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(gt_file: Path, runs_dir: Path, rules: Rules, progress_file: Path | None = None) -> Comparison:
    """Compare all runs below `runs_dir` (``<model>/<variant>/{evaluation,postrf}/index.json``).

    Returns
    -------
    Comparison
        Rows sorted by model, variant and layer. A run without predictions is a row of zeros.

    Raises
    ------
    InputError
        When a file cannot be read, there is no run, or the rules refuse what they find; all runs are looked
        at before that.
    """
    truth = read_truth(gt_file)
    folders = _run_folders(runs_dir)
    found = Comparison()
    refusals: list[str] = []
    absent: dict[str, list[str]] = {layer: [] for layer in rules.layers}
    with track("compare", "metrics", "runs", len(folders), progress_file) as progress:
        for folder in folders:
            name = f"{folder.parent.name}/{folder.name}"
            indexes = {layer: folder / layer / "index.json" for layer in rules.layers}
            present = [layer for layer, index_file in indexes.items() if index_file.is_file()]
            if not present:
                found.warnings.append(f"{name}: no {' or '.join(rules.layers)} index: left out")
            for layer in rules.layers:
                if layer in present:
                    index = read_index(indexes[layer], PredictionIndex)
                    keys: Row = {"model": folder.parent.name, "variant": folder.name, "layer": layer}
                    _add_run(found, refusals, index, keys, truth, rules)
                elif present:
                    absent[layer].append(name)
            progress.advance(1)
        if not found.runs and not refusals:
            raise InputError(
                f"{runs_dir}: no index to compare; looked for <model>/<variant>/{{{','.join(rules.layers)}}}/index.json"
                f" in {len(folders)} runs. Run hum-evaluator run (and hum-rf-filter run) first."
            )
        found.notes += [f"no {layer} index, layer left out: {_some(runs)}" for layer, runs in absent.items() if runs]
        if rules.strict:
            refusals += found.warnings
        if refusals:
            raise InputError(refusals[0] if len(refusals) == 1 else f"{len(refusals)} problems: {' | '.join(refusals)}")
    return found


def compare_run(
    truth: GroundTruth, predicted: Sequence[PredictionEntry], tapes: Sequence[str], rules: Rules
) -> dict[str, Outcome]:
    """Match the predictions of one run to the ground truth, tape by tape.

    Parameters
    ----------
    predicted
        Selections; those of the noise class are no predictions and are left out.
    tapes
        Tapes that count even when nothing was predicted on them.

    Returns
    -------
    dict
        Tape → outcome, sorted by tape.
    """
    by_tape: dict[str, list[tuple[float, float]]] = {tape: [] for tape in tapes}
    for entry in predicted:
        if (entry.label or "").lower() != "noise":
            by_tape.setdefault(tape_of(entry), []).append(entry.tape_interval_s())
    return {
        tape: outcome(
            truth.intervals(tape), truth.qualities(tape), as_intervals(by_tape[tape]), rules.min_iou, rules.matching
        )
        for tape in sorted(by_tape)
    }


def write_rows(path: Path, rows: Sequence[Row], *, per_tape: bool) -> None:
    """Write rows as CSV; None is an empty cell, numbers are rounded to 10 decimals."""
    columns = (*TAPE_COLUMNS, "tape", *_RUN_KEYS) if per_tape else (*RUN_COLUMNS, *_RUN_KEYS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def _add_run(
    found: Comparison, refusals: list[str], index: PredictionIndex, keys: Row, truth: GroundTruth, rules: Rules
) -> None:
    name = f"{keys['model']}/{keys['variant']} {keys['layer']}"
    scored = index.meta.recordings
    never = truth.never_scored(scored) if scored is not None else []
    if never:
        said = f"{name}: ground truth for recordings that were never scored: {_some(never)}"
        if rules.allow_missing:
            found.warnings.append(f"{said}; their calls count as missed")
        else:
            refusals.append(f"{said}. Score them, or use --allow-missing to count their calls as missed.")
    predicted = list(index.entries)
    strangers = [entry for entry in predicted if not truth.knows(entry)]
    if strangers:
        names = _some(sorted({entry.recording or entry.tape for entry in strangers}))
        said = f"{name}: {len(strangers)} predictions in recordings that the ground truth does not know: {names}"
        if rules.unknown == "error":
            refusals.append(f"{said}. Use --unknown count or --unknown ignore, or correct --gt.")
        elif rules.unknown == "ignore":
            found.warnings.append(f"{said}; left out")
            predicted = [entry for entry in predicted if truth.knows(entry)]
        else:
            found.warnings.append(f"{said}; counted as false positives")
    tapes = truth.tapes
    if rules.unknown == "count":
        tapes |= {recording.tape for recording in scored or ()}
    outcomes = compare_run(truth, predicted, sorted(tapes), rules)
    found.runs.append({**run_row(list(outcomes.values())), **keys})
    found.tapes += [{**tape_row(result), "tape": tape, **keys} for tape, result in outcomes.items()]


def _run_folders(runs_dir: Path) -> list[Path]:
    if not runs_dir.is_dir():
        raise InputError(f"{runs_dir}: no such folder; --runs wants the folder of <model>/<variant>/ folders")
    folders = sorted(
        variant
        for model in runs_dir.iterdir()
        if model.is_dir() and not model.name.startswith(".")
        for variant in model.iterdir()
        if variant.is_dir() and not variant.name.startswith(".")
    )
    if not folders:
        raise InputError(f"{runs_dir}: no runs; looked for <model>/<variant>/ folders. Run hum-evaluator run first.")
    return folders


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _NAMED_AT_MOST} more" if len(items) > _NAMED_AT_MOST else ""
    return ", ".join(items[:_NAMED_AT_MOST]) + more


def _cell(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return repr(round(value, 10)) if isinstance(value, float) else str(value)
