"""Commands that show results and hand them on: report, plot, export, review-sheet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from hum_shared.command import say, warn
from hum_shared.config.evaluation import EXPORT_FORMATS

app = typer.Typer()

ProgressFile = Annotated[Path | None, typer.Option(help="Keep the progress in this JSON file.")]
RunRoot = Annotated[Path, typer.Argument(help="A run: the folder that holds evaluation/ and postrf/.")]
Stage = Annotated[Literal["evaluation", "postrf"], typer.Option(help="Which selections.")]
AudioDir = Annotated[
    Path | None, typer.Option(help="Folder of the recordings; sub-folders count. Default: what was predicted on.")
]


@app.command(
    "report",
    epilog="Example: hum-evaluator report --gt data/benchmark_corpus_v1/corpus_index.json --runs BENCHMARK/runs"
    " --out BENCHMARK/report.html",
)
def report_command_line(
    runs: Annotated[Path, typer.Option(help="Folder of <model>/<variant>/ runs.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    gt: Annotated[Path | None, typer.Option(help="corpus_index.json of the benchmark corpus; none: no truth.")] = None,
    scores: Annotated[Path | None, typer.Option(help="BENCHMARK/scores. Default: what the runs' cfgs say.")] = None,
    audio_dir: AudioDir = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of models, for training curves. Default: the workspace's.")
    ] = None,
    iou: Annotated[float, typer.Option(help="Intersection over union that a match needs.")] = 0.40,
    matching: Annotated[
        Literal["optimal", "greedy"], typer.Option(help="As many pairs as possible, or first come first served.")
    ] = "optimal",
    gallery: Annotated[int, typer.Option(min=0, help="Misses, false alarms and hits shown per run.")] = 8,
    detail: Annotated[int, typer.Option(min=1, help="Runs shown in detail.")] = 4,
    progress_file: ProgressFile = None,
) -> None:
    """Write one HTML file that says which run is best and where it fails, with pictures and sounds."""
    from hum_evaluator.report.build import Request, make_report

    request = Request(runs, gt, scores, audio_dir, models, iou, matching, gallery, detail)
    done = make_report(request, out, progress_file)
    for warning in done.warnings:
        warn(warning)
    say(f"{done.n_layers} results, {done.n_bytes / 1e6:.1f} MB: {done.path}")


@app.command(
    "plot",
    epilog="Example: hum-evaluator plot data/tape.wav --scores BENCHMARK/scores/v1_random/len400_hop050"
    " --index BENCHMARK/runs/v1_random/len400_hop050_th90/evaluation/index.json --start 60 --end 90 --out tape.png",
)
def plot_command_line(
    recording: Annotated[Path, typer.Argument(help="A recording.")],
    scores: Annotated[Path, typer.Option(help="Folder of its score track.")],
    out: Annotated[Path, typer.Option(help="The picture to write, .png or .svg.")],
    index: Annotated[Path | None, typer.Option(help="An index.json whose selections are drawn in.")] = None,
    gt: Annotated[Path | None, typer.Option(help="A corpus_index.json whose calls are drawn in.")] = None,
    start: Annotated[float, typer.Option(min=0, help="s from the start of the recording.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="s; default: the recording's end, or ten minutes on.")] = None,
) -> None:
    """Draw a stretch of a recording: spectrogram, calls, selections, and the scores below."""
    from hum_evaluator.plot import plot

    say(str(plot(recording, scores, out, index, gt, start, end)))


@app.command(
    "export",
    epilog="Example: hum-evaluator export BENCHMARK/runs/v1_random/len400_hop050_th90 --format raven --stage postrf",
)
def export_command_line(
    run_root: RunRoot,
    formats: Annotated[str, typer.Option("--format", help=f"{', '.join(EXPORT_FORMATS)}; commas between several.")],
    stage: Stage = "evaluation",
    out: Annotated[Path | None, typer.Option(help="Folder to fill. Default: <RUN_ROOT>/<stage>/export.")] = None,
) -> None:
    """Write the selections of a run in the format of another program."""
    from hum_evaluator.export import export, parse_formats

    files = export(run_root, stage, parse_formats(formats), out)
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    say(f"{files[-1]}{more}" if files else f"{run_root}: its {stage} lists no recordings: nothing to write")


@app.command(
    "review-sheet",
    epilog="Example: hum-evaluator review-sheet BENCHMARK/runs/v1_random/len400_hop050_th90 -n 100 --out review",
)
def review_sheet_command_line(
    run_root: RunRoot,
    out: Annotated[Path, typer.Option(help="Folder to fill.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many selections.")] = 200,
    stage: Stage = "evaluation",
    audio_dir: AudioDir = None,
    progress_file: ProgressFile = None,
) -> None:
    """Write the least certain selections as Raven tables with clips, to be corrected and read back as labels."""
    from hum_evaluator.review_sheet import review_sheet
    from hum_shared.stopping import StopRequest

    sheet = review_sheet(run_root, out, count, stage, audio_dir, progress_file, StopRequest().install())
    say(f"{sheet.n_selections} selections in {sheet.n_clips} clips: {sheet.folder}")
    say(f"correct the tables in {sheet.folder}/corpus/tables, then:")
    say(shlex.join(["hum-trainer", "index-corpus", f"{sheet.folder}/corpus", "--from-selections"]))
