"""Comparing runs: every model × variant × layer of a benchmark against its ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from hum_evaluator.bootstrap import Counts, by_tape, drawn
from hum_evaluator.layers import mismatch
from hum_evaluator.leakage import (
    Certificate,
    certify,
    learnt_in_sample,
    sources_of_run,
)
from hum_evaluator.metrics import (
    Row,
    outcome,
    run_row,
    tape_row,
)
from hum_evaluator.pairing import Scored, paired_rows
from hum_evaluator.scorecard import Tape, block_counts, interval_columns, more_columns, ranks
from hum_evaluator.truth import GroundTruth, read_truth, tape_of
from hum_shared import heard
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import InputError
from hum_shared.index import PredictionEntry, PredictionIndex, RecordingInfo, read_index
from hum_shared.intervals import Intervals, as_intervals, intersection
from hum_shared.layout import LAYER_INDEX, Workspace, run_folders
from hum_shared.matching import Matching
from hum_shared.progress import track
from hum_shared.words import listed

LAYERS = ("evaluation", "postrf")
Unknown = Literal["count", "ignore", "error"]


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
        What becomes of predictions in recordings, and parts of tapes, that the ground truth does not know: counted as
        false positives, left out, or refused.
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
        One row per run and layer: `RUN_COLUMNS`, model, variant, layer, `MORE_RUN_COLUMNS`.
    tapes
        One row per run, layer and tape: `TAPE_COLUMNS`, tape, model, variant, layer, `MORE_TAPE_COLUMNS`.
    paired
        Differences between runs: `PAIRED_COLUMNS`.
    certificates
        (model, layer) → what is known of the data behind it; a leak also stands in `warnings`.
    warnings
        One line each; an error with `strict`.
    notes
        One line each.
    """

    runs: list[Row] = field(default_factory=list)
    tapes: list[Row] = field(default_factory=list)
    paired: list[Row] = field(default_factory=list)
    certificates: dict[tuple[str, str], Certificate] = field(default_factory=dict)
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
    folders = run_folders(runs_dir)
    if not folders:
        raise InputError(f"{runs_dir}: no runs; looked for <model>/<variant>/ folders. Run hum-evaluator run first.")
    found = Comparison()
    refusals: list[str] = []
    scored: list[Scored] = []
    workspace = workspace_of(runs_dir / "run")
    absent: dict[str, list[str]] = {layer: [] for layer in rules.layers}
    with track("compare", "metrics", "runs", len(folders), progress_file) as progress:
        for folder in folders:
            name = f"{folder.parent.name}/{folder.name}"
            indexes = {layer: folder / layer / LAYER_INDEX for layer in rules.layers}
            present = [layer for layer, index_file in indexes.items() if index_file.is_file()]
            if not present:
                found.warnings.append(f"{name}: no {' or '.join(rules.layers)} index: left out")
            before: PredictionIndex | None = None
            for layer in rules.layers:
                if layer in present:
                    index = read_index(indexes[layer], PredictionIndex)
                    if before is not None and (wrong := mismatch(layer, index, before)):
                        found.warnings.append(f"{name}: {wrong}")
                    before = index
                    keys: Row = {"model": folder.parent.name, "variant": folder.name, "layer": layer}
                    added = _add_run(found, refusals, index, keys, truth, rules)
                    scored.append(Scored(folder.parent.name, folder.name, layer, *added))
                    _certify(found, index, folder.parent.name, layer, truth, workspace, rules)
                elif present:
                    absent[layer].append(name)
            progress.advance(1)
        if not found.runs and not refusals:
            raise InputError(
                f"{runs_dir}: no index to compare; looked for <model>/<variant>/{{{','.join(rules.layers)}}}/index.json"
                f" in {len(folders)} runs. Run hum-evaluator run (and hum-rf-filter run) first."
            )
        found.paired = paired_rows(scored)
        found.notes += [f"no {layer} index, layer left out: {listed(runs)}" for layer, runs in absent.items() if runs]
        if rules.strict:
            refusals += found.warnings
        if refusals:
            raise InputError(refusals[0] if len(refusals) == 1 else f"{len(refusals)} problems: {' | '.join(refusals)}")
    return found


def compare_run(
    truth: GroundTruth,
    predicted: Sequence[PredictionEntry],
    tapes: Sequence[str],
    rules: Rules,
    scored: Sequence[RecordingInfo] | None = None,
) -> dict[str, Tape]:
    """Match the predictions of one run to the ground truth, tape by tape.

    Parameters
    ----------
    predicted
        Selections; those of the noise class are no predictions and are left out.
    tapes
        Tapes that count even when nothing was predicted on them.
    scored
        Recordings that were scored, for the hours; None where unknown.

    Returns
    -------
    dict
        Tape → how calls and detections meet, sorted by tape.
    """
    by_tape: dict[str, list[tuple[float, float, float]]] = {tape: [] for tape in tapes}
    selections = [entry for entry in predicted if (entry.label or "").lower() != "noise"]
    for entry, rank in zip(selections, ranks(selections).tolist(), strict=True):
        by_tape.setdefault(tape_of(entry), []).append((*entry.tape_interval_s(), rank))
    listened, nothing = heard.by_tape(scored or ()), as_intervals([])
    found = {}
    for tape in sorted(by_tape):
        part = None if scored is None else listened.get(tape, nothing)
        if part is not None and rules.unknown == "ignore" and (labelled := truth.labelled(tape)) is not None:
            part = intersection(part, labelled)
        found[tape] = _tape(truth, tape, by_tape[tape], part, rules)
    return found


def _tape(
    truth: GroundTruth, tape: str, found: Sequence[tuple[float, float, float]], scored: Intervals | None, rules: Rules
) -> Tape:
    rows = np.array(sorted(found), dtype=np.float64).reshape(-1, 3)
    calls, detections = truth.intervals(tape), rows[:, :2]
    result = outcome(calls, truth.qualities(tape), detections, rules.min_iou, rules.matching)
    return Tape(calls, detections, rows[:, 2], result, scored)


def _add_run(
    found: Comparison, refusals: list[str], index: PredictionIndex, keys: Row, truth: GroundTruth, rules: Rules
) -> tuple[float, Counts]:
    """Add the rows of one run and layer; return its F1, and its counts by tape or block."""
    name = f"{keys['model']}/{keys['variant']} {keys['layer']}"
    scored = index.meta.recordings
    never = truth.never_scored(scored) if scored is not None else []
    if never:
        partly = any(recording.scored_s is not None for recording in scored or ())
        also = ", or only in part" if partly else ""
        said = f"{name}: ground truth for recordings that were never scored{also}: {listed(never)}"
        if rules.allow_missing:
            found.warnings.append(f"{said}; their calls count as missed")
        else:
            refusals.append(f"{said}. Score them, or use --allow-missing to count their calls as missed.")
    for tape, seconds in heard.shared_s(scored or ()).items():
        said = f"recordings of tape {tape} share {seconds:.3g} s: what is found there counts once for each"
        if said not in found.notes:
            found.notes.append(said)
    predicted = list(index.entries)
    known = truth.knows(predicted)
    strangers = [entry for entry, is_known in zip(predicted, known, strict=True) if not is_known]
    if strangers:
        names = listed(sorted({entry.recording or entry.tape for entry in strangers}))
        where = (
            "outside the labelled parts of their tapes"
            if {tape_of(entry) for entry in strangers} <= truth.tapes
            else "in recordings that the ground truth does not know"
        )
        said = f"{name}: {len(strangers)} predictions {where}: {names}"
        if rules.unknown == "error":
            refusals.append(f"{said}. Use --unknown count or --unknown ignore, or correct --gt.")
        elif rules.unknown == "ignore":
            found.warnings.append(f"{said}; left out")
            predicted = [entry for entry, is_known in zip(predicted, known, strict=True) if is_known]
        else:
            found.warnings.append(f"{said}; counted as false positives")
    tapes = truth.tapes
    if rules.unknown == "count":
        tapes |= {recording.tape for recording in scored or ()}
    met = compare_run(truth, predicted, sorted(tapes), rules, scored)
    counts = block_counts(met, rules.min_iou, rules.matching)
    if drawn(counts) == "tape":
        counts = by_tape(counts)  # blocks of many tapes would fill the memory
    row = run_row([tape.result for tape in met.values()])
    more = more_columns(list(met.values()), rules.min_iou, rules.matching)
    found.runs.append({**row, **keys, **more, **interval_columns(counts)})
    found.tapes += [
        {**tape_row(tape.result), "tape": name, **keys, **more_columns([tape], rules.min_iou, rules.matching)}
        for name, tape in met.items()
    ]
    return float(row["f1"] or 0), counts


def _certify(
    found: Comparison,
    index: PredictionIndex,
    model: str,
    layer: str,
    truth: GroundTruth,
    workspace: Workspace,
    rules: Rules,
) -> None:
    """Add the certificate of a run to that of its model's layer, and its leaks as warnings."""
    sources, missing, replaced = sources_of_run(index.meta, model, layer, workspace)
    certificate = certify(_compared(index, truth, rules), sources, [*missing, *replaced])
    known = found.certificates.get((model, layer))
    found.certificates[model, layer] = certificate if known is None else known.with_more(certificate)
    for warning in (*(f"{model}: {line}" for line in certificate.lines), *replaced):
        if warning not in found.warnings:
            found.warnings.append(warning)
    for line in learnt_in_sample(sources):
        if (note := f"{model}: {line}") not in found.notes:
            found.notes.append(note)


def _compared(index: PredictionIndex, truth: GroundTruth, rules: Rules) -> list[RecordingInfo]:
    """Return the recordings of a run that count."""
    scored = index.meta.recordings
    if scored is None or rules.unknown != "ignore":
        return truth.with_digests(scored)
    covered = [recording for recording in scored if truth.covers(recording)]
    return truth.with_digests(covered) if covered else []
