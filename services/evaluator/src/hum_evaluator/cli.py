"""The command line `hum-evaluator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hum_evaluator import cli_results

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="Decode score tracks into selections, compare runs with ground truth, cut selections out.",
)

# The libraries behind the commands take a second to load: `--help` need not wait for them.

ProgressFile = Annotated[Path | None, typer.Option(help="Keep the progress in this JSON file.")]
StatusPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Show the status at this port of 127.0.0.1; 0: a free one.")
]


@app.command("run", epilog="Example: hum-evaluator run BENCHMARK/cfg/v1_random/len400_hop050_th90/eval.cfg")
def run_command_line(
    cfg: Annotated[Path, typer.Argument(help="An eval.cfg.")],
    progress_file: ProgressFile = None,
    status_port: StatusPort = None,
) -> None:
    """Decode all score tracks of a run into annotation tables and an index."""
    from hum_evaluator.run import evaluate
    from hum_shared.status.task import own_status
    from hum_shared.stopping import StopRequest

    with own_status(status_port, cfg, progress_file) as kept_in:
        done = evaluate(cfg, kept_in, StopRequest().install())
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
    paired_out: Annotated[
        Path | None, typer.Option(help="CSV of the differences between runs; default: not written.")
    ] = None,
    iou: Annotated[float, typer.Option(help="Intersection over union that a match needs.")] = 0.40,
    layer: Annotated[Literal["evaluation", "postrf", "both"], typer.Option(help="Which predictions.")] = "both",
    matching: Annotated[
        Literal["optimal", "greedy"], typer.Option(help="As many pairs as possible, or first come first served.")
    ] = "optimal",
    unknown: Annotated[
        Literal["count", "ignore", "error"], typer.Option(help="Predictions where nothing was labelled.")
    ] = "count",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Calls in recordings that were never scored count as missed.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    progress_file: ProgressFile = None,
) -> None:
    """Compare every run below a folder with ground truth."""
    from hum_evaluator.compare import LAYERS, Rules, compare
    from hum_evaluator.csv_tables import write_paired, write_rows
    from hum_evaluator.summary import leakage_line, summary

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
    if paired_out is not None:
        write_paired(paired_out, found.paired)
    _print_table(summary(found.runs))
    print(f"{len(found.runs)} rows: {out}; per tape: {per_tape_out}")
    print(leakage_line(found))


@app.command(
    "tune",
    epilog="Example: hum-evaluator tune --gt data/training_corpus_v1/corpus_index.json"
    " --scores TRAINING/runs/models/v1/out_of_tape --out TRAINING/runs/models/v1/models/decoder.json",
)
def tune_command_line(
    gt: Annotated[Path, typer.Option(help="corpus_index.json of the scored recordings.")],
    scores: Annotated[
        Path, typer.Option(help="Score tracks of tapes, or parts of them, that the network was not trained on.")
    ],
    decoder: Annotated[
        Literal["all", "hysteresis", "peak", "change", "union"], typer.Option(help="One decoder, or all.")
    ] = "all",
    out: Annotated[Path | None, typer.Option(help="Default: decoder.json beside the score tracks.")] = None,
    progress_file: ProgressFile = None,
) -> None:
    """Search the decoder settings that find the calls best, and write them as decoder.json."""
    from hum_evaluator.summary import tuning_summary
    from hum_evaluator.tune import tune
    from hum_shared.stopping import StopRequest

    done = tune(gt, scores, decoder, out, progress_file, StopRequest().install())
    for warning in done.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if done.up_to_date:
        print(f"nothing to do: {done.file} is up to date")
        return
    _print_table(tuning_summary(done.content))
    print(f"best: {done.content.best}; settings of all: {done.file}")


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
    from hum_evaluator.cutouts import cut
    from hum_shared.stopping import StopRequest

    done = cut(run_root, stage, audio_dir, out_root, progress_file, StopRequest().install())
    if done.n_removed:
        print(f"{done.n_removed} cutouts of selections that are no more were removed: {done.folder}")
    if done.n_new == 0 and not done.n_removed:
        print(f"nothing to do: all {done.n_kept} cutouts are in {done.folder}")
    else:
        print(f"{done.n_new} cutouts written, {done.n_kept} were there already: {done.folder}")


def _print_table(table: Table) -> None:
    from rich.console import Console

    # Names must not be cut where the table goes to a file: only a terminal has a width.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(table)


app.add_typer(cli_results.app)
