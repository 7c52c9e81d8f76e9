"""The command line `hum-evaluator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from hum_evaluator.compare import LAYERS, Rules, Unknown, compare, write_rows
from hum_evaluator.cutouts import cut
from hum_evaluator.run import evaluate
from hum_evaluator.summary import summary
from hum_shared.command import dashed_options, run_command
from hum_shared.matching import Matching
from hum_shared.stopping import StopRequest

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="Decode score tracks into selections, compare runs with ground truth, cut selections out.",
)

ProgressFile = Annotated[Path | None, typer.Option(help="Keep the progress in this JSON file.")]


@app.command("run", epilog="Example: hum-evaluator run BENCHMARK/cfg/v1_random/len400_hop050_th90/eval.cfg")
def run_command_line(
    cfg: Annotated[Path, typer.Argument(help="An eval.cfg.")],
    progress_file: ProgressFile = None,
) -> None:
    """Decode all score tracks of a run into annotation tables and an index."""
    done = evaluate(cfg, progress_file, StopRequest().install())
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    if done.up_to_date:
        print(f"nothing to do: {done.index_file} is up to date")
    else:
        print(f"{done.n_selections} selections in {done.n_recordings} recordings: {done.index_file}")


@app.command(
    "compare",
    epilog="Example: hum-evaluator compare --gt data/benchmark_corpus_v1/corpus_index.json --runs BENCHMARK/runs"
    " --out BENCHMARK/metrics.csv --per-tape-out BENCHMARK/metrics_per_tape.csv",
)
def compare_command_line(
    gt: Annotated[Path, typer.Option(help="corpus_index.json of the benchmark corpus.")],
    runs: Annotated[Path, typer.Option(help="Folder of <model>/<variant>/ runs.")],
    out: Annotated[Path, typer.Option(help="CSV with one row per run and layer.")],
    per_tape_out: Annotated[Path, typer.Option(help="CSV with one row per run, layer and tape.")],
    iou: Annotated[float, typer.Option(help="Intersection over union that a match needs.")] = 0.40,
    layer: Annotated[Literal["evaluation", "postrf", "both"], typer.Option(help="Which predictions.")] = "both",
    matching: Annotated[
        Matching, typer.Option(help="As many pairs as possible, or first come first served.")
    ] = "optimal",
    unknown: Annotated[Unknown, typer.Option(help="Predictions in recordings without ground truth.")] = "count",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Calls in recordings that were never scored count as missed.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    progress_file: ProgressFile = None,
) -> None:
    """Compare every run below a folder with ground truth."""
    rules = Rules(
        min_iou=iou,
        layers=LAYERS if layer == "both" else (layer,),
        matching=matching,
        unknown=unknown,
        allow_missing=allow_missing,
        strict=strict,
    )
    found = compare(gt, runs, rules, progress_file)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    write_rows(out, found.runs, per_tape=False)
    write_rows(per_tape_out, found.tapes, per_tape=True)
    # Names must not be cut where the table goes to a file: only a terminal has a width.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(summary(found.runs))
    print(f"{len(found.runs)} rows: {out}; per tape: {per_tape_out}")


@app.command(
    "cutouts",
    epilog="Example: hum-evaluator cutouts BENCHMARK/runs/v1_random/len400_hop050_th90 --stage postrf"
    " --audio-dir data/benchmark_corpus_v1/labelled_recordings",
)
def cutouts_command_line(
    run_root: Annotated[Path, typer.Argument(help="A run: the folder that holds evaluation/ and postrf/.")],
    stage: Annotated[Literal["evaluation", "postrf"], typer.Option(help="Which selections.")] = "evaluation",
    audio_dir: Annotated[
        Path | None, typer.Option(help="Folder of the recordings; sub-folders count. Default: what was predicted on.")
    ] = None,
    out_root: Annotated[Path | None, typer.Option(help="Default: <RUN_ROOT>/<stage>/cutouts.")] = None,
    progress_file: ProgressFile = None,
) -> None:
    """Write every selection of a run as a WAV file of its own."""
    done = cut(run_root, stage, audio_dir, out_root, progress_file, StopRequest().install())
    if done.n_new == 0:
        print(f"nothing to do: all {done.n_kept} cutouts are in {done.folder}")
    else:
        print(f"{done.n_new} cutouts written, {done.n_kept} were there already: {done.folder}")


def main() -> None:
    """Run the command line and exit with the pipeline's exit codes."""
    sys.exit(run_command(lambda: app(dashed_options(sys.argv[1:]))))
