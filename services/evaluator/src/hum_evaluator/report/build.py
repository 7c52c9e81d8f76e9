"""Making the report: read the runs, measure, choose what to show, write one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from hum_evaluator.compare import Comparison, Rules, compare
from hum_evaluator.layers import mismatch_of_run
from hum_evaluator.metrics import Row
from hum_evaluator.report import charts, curves, words
from hum_evaluator.report.events import Event, events, selections_alone, with_turned_down
from hum_evaluator.report.page import Page, render
from hum_evaluator.report.panel import Media, Panel, panel
from hum_evaluator.report.run_curves import Tracks, points_of
from hum_evaluator.report.runs import (
    Layer,
    ranked,
    read_layers,
    recordings_of,
    scores_of,
    shown_in_detail,
)
from hum_evaluator.report.training import find_models, read_training
from hum_evaluator.tracks import unsearched
from hum_evaluator.truth import GroundTruth, read_truth
from hum_shared.errors import HumError, InputError
from hum_shared.files import sha256_file, write_text
from hum_shared.layout import LAYER_INDEX
from hum_shared.matching import Matching
from hum_shared.progress import Progress, track
from hum_shared.provenance import collect
from hum_shared.recordings import RecordingFolder
from hum_shared.words import listed

_PACKAGES = ("hum-shared", "hum-evaluator", "numpy", "scipy", "pyarrow", "soundfile", "jinja2", "matplotlib", "pillow")
_NAMED_AT_MOST = 3
_MOST_BYTES = 15_000_000
_KEPT_FOR_REST = 6_500_000  # strips of time of 4 × 100 tapes at their fullest, tables, style


@dataclass(frozen=True)
class Request:
    """What a report is to be made of.

    Attributes
    ----------
    runs
        Folder of ``<model>/<variant>/`` runs.
    gt
        `corpus_index.json` of the ground truth; None for none.
    scores, audio_dir, models
        Folders of score tracks, recordings, models; None for where the runs' workspace has them.
    min_iou, matching
        As in :class:`hum_evaluator.compare.Rules`.
    gallery
        Events per group of the gallery.
    detail
        How many runs are shown in detail.
    """

    runs: Path
    gt: Path | None = None
    scores: Path | None = None
    audio_dir: Path | None = None
    models: Path | None = None
    min_iou: float = 0.40
    matching: Matching = "optimal"
    gallery: int = 8
    detail: int = 4


@dataclass(frozen=True)
class Report:
    """What was written: the file, its size, how many runs and layers it compares, what was missing."""

    path: Path
    n_bytes: int
    n_layers: int
    warnings: tuple[str, ...]


def make_report(request: Request, out: Path, progress_file: Path | None = None) -> Report:
    """Write the report.

    The same input gives the same bytes, the section on provenance aside. A folder without runs gives a report that
    says so.

    Raises
    ------
    InputError
        When a folder that was named is missing, or an index is broken.
    """
    for name, folder in (
        ("--scores", request.scores),
        ("--audio-dir", request.audio_dir),
        ("--models", request.models),
    ):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: no such folder ({name})")
    truth = read_truth(request.gt) if request.gt is not None else None
    rules = Rules(min_iou=request.min_iou, matching=request.matching, allow_missing=True)
    layers = read_layers(request.runs)
    with track("report", request.runs.name, "runs in detail", None, progress_file) as progress:
        compared = Comparison()
        if request.gt is not None and layers:
            compared = compare(request.gt, request.runs, rules)
            layers = read_layers(request.runs, compared.runs)
        detailed = shown_in_detail(layers, request.detail) if layers else []
        progress.total = len(detailed)
        page = _page(request, truth, layers, detailed, compared, progress)
        write_text(out, render(page))
    return Report(out, out.stat().st_size, len(layers), tuple(page.warnings))


def _place(runs: Path) -> str:
    """Return the workspace that runs lie in, with the set's name where they are of one."""
    tree = runs.parent
    if tree.parent.name == "sets":
        return f"{tree.parent.parent.parent.name}, set {tree.name}"
    return tree.parent.name


def _page(
    request: Request, truth: GroundTruth | None, layers: Sequence[Layer], detailed: Sequence[Layer],
    compared: Comparison, progress: Progress,
) -> Page:  # fmt: skip
    order = ranked(layers)
    n_calls = None if truth is None else sum(len(calls) for calls in truth.calls.values())
    warnings = list(compared.warnings)
    if truth is None:  # else the comparison says it
        wrong = (mismatch_of_run(layer.folder, layer.layer, layer.index) for layer in layers)
        warnings += [text for text in wrong if text is not None]
    warnings += _unsearched(layers, request.scores)
    if not layers:
        warnings.append(f"{request.runs}: no runs; looked for <model>/<variant>/{{evaluation,postrf}}/index.json")
    sources = Tracks(request.scores)
    budget = (_MOST_BYTES - _KEPT_FOR_REST) // max(1, len(detailed))
    panels: list[Panel] = []
    problems: dict[str, str] = {}
    unread: set[str] = set()
    n_left_out = 0
    for layer in detailed:
        tracks = sources.of(layer)
        folder = recordings_of(layer, request.audio_dir)
        if folder is None:
            unread.add(f"{layer.model}/{layer.variant}")
        media = Media(None if folder is None else RecordingFolder(folder), tracks, budget, problems=problems)
        tapes = {str(row["tape"]): row for row in compared.tapes if _key(row) == layer.key}
        panels.append(panel(layer, _events(layer, layers, truth, request), tapes, media, request.gallery))
        n_left_out += media.n_left_out
        progress.advance(1)
    if unread:
        warnings.append(
            f"Recordings of {', '.join(sorted(unread))} were not found: no pictures, no sound. Name --audio-dir."
        )
    warnings += [reason for _, reason in sorted(problems.items())[:_NAMED_AT_MOST]]
    if n_left_out:
        warnings.append(f"{n_left_out} pictures were left out to keep the file small; a smaller --gallery shows all.")
    best = order[0] if order else None
    points: list[Sequence[curves.PrPoint]] = []
    if truth is not None:
        for layer in detailed:
            found, why_not = points_of(layer, sources.of(layer), truth, request.min_iou, request.matching)
            points.append(found)
            warnings += [why_not] if why_not is not None else []
    models = request.models or find_models(request.runs)
    return Page(
        title=f"Detections in {_place(request.runs.absolute())}",
        with_truth=truth is not None,
        best=best,
        best_sentences=[
            *words.best_run(best, best.hours),
            *words.other_threshold(best, points[0]),
            *words.equals(best, compared.paired),
        ]
        if best
        else [],
        rival=words.rivals(order, compared.paired) if order else "",
        gain=words.gain_of_forest(compared.paired, best),
        cautions=words.cautions(layers, n_calls) + _unchecked(compared),
        warnings=warnings,
        notes=[
            *([words.judged_on(truth)] if truth is not None and layers else []),
            *words.not_seen(compared.certificates),
            *words.learned_from(compared.certificates),
            *compared.notes,
        ],
        against=words.against_best(compared.paired),
        layers=list(layers),
        intervals={one.key: words.interval(one.row) for one in layers if one.row is not None},
        min_iou=request.min_iou,
        curves=_curves(detailed, points) if truth is not None and detailed else None,
        panels=panels,
        training=_training(models, layers),
        provenance=collect(
            _PACKAGES,
            inputs={
                **({str(request.gt): sha256_file(request.gt)} if request.gt else {}),
                **{
                    f"{layer.model}/{layer.variant}/{layer.layer}": sha256_file(
                        layer.folder / layer.layer / LAYER_INDEX
                    )
                    for layer in layers
                },
            },
        ),
    )


def _unsearched(layers: Sequence[Layer], scores: Path | None) -> list[str]:
    """Return what to say of recordings that could not be scored, once for all layers of the same scores."""
    said: dict[str, None] = {}
    for layer in layers:
        try:
            folder = scores_of(layer, scores)
            notes = [] if folder is None else unsearched(folder)
        except HumError as error:  # a cfg or a list of one run: the others are reported
            notes = [str(error)]
        said |= dict.fromkeys(notes)
    return list(said)


def _unchecked(compared: Comparison) -> list[str]:
    """Return what could not be checked for leakage."""
    missing = sorted({line for certificate in compared.certificates.values() for line in certificate.missing})
    return [f"Leakage could not be ruled out: {listed(missing, _NAMED_AT_MOST, '; ')}."] if missing else []


def _events(layer: Layer, layers: Sequence[Layer], truth: GroundTruth | None, request: Request) -> list[Event]:
    if truth is None:
        return selections_alone(layer.index.entries)

    def met(one: Layer) -> list[Event]:
        return events(truth, one.index.entries, one.index.meta.recordings, request.min_iou, request.matching)

    before = [one for one in layers if one.key == (layer.model, layer.variant, "evaluation")]
    return with_turned_down(met(layer), met(before[0])) if layer.layer == "postrf" and before else met(layer)


def _curves(
    detailed: Sequence[Layer], points: Sequence[Sequence[curves.PrPoint]]
) -> tuple[Markup, list[tuple[str, str, str]]]:
    """Return the chart of precision over recall, and (CSS class, name, setting) of its legend."""
    legend = [(charts.colour(position), layer.name, layer.setting) for position, layer in enumerate(detailed)]
    lines = [
        (css, name, [(point.recall, point.precision) for point in line])
        for (css, name, _), line in zip(legend, points, strict=True)
    ]
    dots = [
        (css, name, (float(layer.row["recall"] or 0), float(layer.row["precision"] or 0)), layer.chosen)
        for (css, name, _), layer in zip(legend, detailed, strict=True)
        if layer.row is not None
    ]
    return charts.precision_recall(lines, dots), legend


def _training(models: Path | None, layers: Sequence[Layer]) -> list[tuple[str, list[Markup]]]:
    if models is None:
        return []
    found = []
    for history in read_training(models, sorted({layer.model for layer in layers})):
        losses = charts.training(history, {"train_loss": "c0", "val_loss": "c1"}, "loss")
        rates = charts.training(
            history, {"val_f1": "c2", "val_precision": "c3", "val_tpr": "c4", "val_recall": "c4"}, "share"
        )
        found.append((history.model, [losses, rates]))
    return found


def _key(row: Row) -> tuple[str, str, str]:
    return str(row["model"]), str(row["variant"]), str(row["layer"])
