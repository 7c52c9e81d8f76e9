"""The `hum-trainer` command line: corpus index, datasets, counts, selection tables, training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hum_shared.command import dashed_options, run_command
from hum_shared.errors import InputError
from hum_trainer.cli_index import indexed_corpus, read_or_make_index
from hum_trainer.cli_values import spread_values

if TYPE_CHECKING:
    from hum_trainer.datasets import DatasetReport

app = typer.Typer(
    help="From a labelled corpus to a trained network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

GroupBy = Literal["raw", "clip"]
CorpusRoot = Annotated[Path, typer.Argument(help="folder that holds labelled_recordings/ and segmented/")]
IndexIn = Annotated[Path | None, typer.Option(help="folder of corpus_index.json; default: the corpus")]


@app.command()
def index_corpus(
    corpus_root: CorpusRoot,
    out: Annotated[Path | None, typer.Option(help="folder of corpus_index.json; default: the corpus")] = None,
    from_selections: Annotated[
        bool,
        typer.Option(
            "--from-selections",
            help="calls from Raven tables instead of cut-out files: a table belongs to the recording that its name "
            "starts with, an empty one says that there are no calls, recordings without one are left out; rows whose "
            "Sound type is noise are no calls",
        ),
    ] = False,
    rename: Annotated[bool, typer.Option("--rename", help="give known name variants their proper names")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="problems with labels are errors")] = False,
) -> None:
    """Write corpus_index.json and report what is wrong with the labels.

    Example: hum-trainer index-corpus data/training_corpus_v1 --strict
    """
    from hum_shared.index import update_index
    from hum_shared.layout import CORPUS_INDEX
    from hum_trainer import renaming
    from hum_trainer.corpus import require_writable

    folder = out or corpus_root
    if corpus_root.is_dir():
        require_writable(folder)
    if rename:
        renames = renaming.plan_renames(corpus_root)
        renaming.rename(renames)
        for old, new in renames:
            typer.echo(f"renamed {old.relative_to(corpus_root)} to {new.name}")
    indexed = indexed_corpus(corpus_root, from_selections=from_selections)
    if strict and indexed.problems:
        raise InputError(
            f"{corpus_root}: {len(indexed.problems)} problems with labels (see above); --strict allows none"
        )
    written = update_index(folder / CORPUS_INDEX, indexed.index)
    meta = indexed.index.meta
    typer.echo(
        f"{folder / CORPUS_INDEX}{'' if written else ' (unchanged)'}: {meta.n_hums} hums in "
        f"{meta.n_labelled_clips} labelled clips, "
        f"{meta.n_raw_recordings} raw recordings, {len(indexed.problems)} problems"
    )


@app.command()
def prepare(
    corpus_root: CorpusRoot,
    out: Annotated[Path | None, typer.Option(help="folder of the dataset_* folders; default: the corpus")] = None,
    config: Annotated[Path | None, typer.Option(help="dataset_prep_configs.json; default: the shipped one")] = None,
    strategy: Annotated[list[str] | None, typer.Option(help="strategies to prepare; default: the active ones")] = None,
    generate_spectrograms: Annotated[bool, typer.Option("--generate-spectrograms", help="one PNG per clip")] = False,
    workers: Annotated[int, typer.Option(min=0, help="processes; 0: as many as CPUs and strategies allow")] = 0,
) -> None:
    """Write the training datasets, dataset_<strategy>/, of a corpus; it is indexed first where it is not yet.

    Example: hum-trainer prepare data/training_corpus_v1 --strategy random proportional_by_tape
    """
    from hum_shared.config.variants import read_dataset_prep
    from hum_shared.stopping import StopRequest
    from hum_trainer.corpus import require_writable
    from hum_trainer.prepare import prepare as prepare_datasets
    from hum_trainer.strategies import DEFAULT_CONFIG, choose

    strategies = choose(read_dataset_prep(config) if config else DEFAULT_CONFIG, strategy or [])
    folder = out or corpus_root
    if corpus_root.is_dir():
        require_writable(folder)
    index = read_or_make_index(corpus_root, folder, write=True)
    written: list[str] = []

    def finished(name: str, report: DatasetReport | None) -> None:
        if report is not None:
            written.append(name)
            typer.echo(_describe(name, report))

    stop = StopRequest().install()
    prepare_datasets(
        corpus_root,
        index,
        strategies,
        folder,
        spectrograms=generate_spectrograms,
        workers=workers,
        stop=stop,
        finished=finished,
    )
    current = [name for name in strategies if name not in written]
    if current:
        typer.echo(f"nothing to do: {', '.join(current)}: up to date (delete a dataset's folder to make it anew)")


@app.command()
def count(corpus_root: CorpusRoot, index_in: IndexIn = None) -> None:
    """Show hums per tape, clip and quality, and the datasets in the corpus.

    Example: hum-trainer count data/training_corpus_v1
    """
    from rich.console import Console

    from hum_trainer.counting import corpus_counts, dataset_counts

    index = read_or_make_index(corpus_root, index_in or corpus_root, write=False)
    datasets = dataset_counts(corpus_root)
    # Names are never cut in a pipe or a file, where nobody can widen the window.
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    for table in [*corpus_counts(index), *([datasets] if datasets else [])]:
        console.print(table)
        console.print()


@app.command()
def selection_tables(
    index: Annotated[Path, typer.Option(help="corpus_index.json")],
    out: Annotated[Path, typer.Option(help="folder of the tables")],
    group_by: Annotated[GroupBy, typer.Option(help="raw: a table per tape; clip: a table per labelled clip")] = "raw",
    qualities: Annotated[list[int] | None, typer.Option(help="qualities to take; default: all")] = None,
    path_filter: Annotated[str, typer.Option(help="only hums with this text in a path of theirs")] = "",
    regex: Annotated[bool, typer.Option("--regex", help="the path filter is a regular expression")] = False,
) -> None:
    """Write Raven selection tables of a corpus's hums; of clips without any an empty one, where all are taken.

    Example: hum-trainer selection-tables --index corpus_index.json --out tables --group-by clip --qualities 2 3
    """
    from hum_shared.index import CorpusIndex, read_index
    from hum_trainer.tables import chosen, corpus_tables, write_tables

    corpus = read_index(index, CorpusIndex)
    entries = chosen(corpus, qualities=qualities or [], path_filter=path_filter, regex=regex)
    tables = corpus_tables(corpus, entries, group_by)
    if group_by == "clip" and not (qualities or path_filter):
        tables |= {info.name: [] for info in corpus.meta.recordings or () if info.name not in tables}
    paths = write_tables(out, tables)
    typer.echo(f"{out}: {len(paths)} selection tables with {len(entries)} hums")


@app.command()
def run(
    cfg: Annotated[Path, typer.Argument(help="alpaca_server.cfg")],
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(envvar="HUM_DEVICE", help="wins over device and no_cuda of the cfg"),
    ] = None,
    progress_file: Annotated[Path | None, typer.Option(help="where to keep the task's progress")] = None,
    status_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="show the status at this port of 127.0.0.1; 0: a free one")
    ] = None,
) -> None:
    """Train the network a cfg describes; goes on where an interrupted run stopped.

    Example: hum-trainer run TRAINING/cfg/v1_random/alpaca_server.cfg
    """
    from hum_shared.stopping import StopRequest

    stop = StopRequest().install()  # torch takes seconds to import
    from hum_shared.status.task import own_status
    from hum_trainer.run import run_training

    stop.check("nothing was begun")
    with own_status(status_port, cfg, progress_file) as kept_in:
        run_training(cfg, kept_in, device=device, stop=stop)


@app.command()
def mine(
    cfg: Annotated[Path, typer.Argument(help="alpaca_server.cfg of recipe windows or frames")],
    from_selections: Annotated[
        Path | None, typer.Option(help="folder of Raven tables of training recordings that a person corrected")
    ] = None,
    progress_file: Annotated[Path | None, typer.Option(help="where to keep the task's progress")] = None,
) -> None:
    """Turn a model's confident false alarms on its training tapes into negatives for the next training.

    With --from-selections no model is run: rows whose sound type is noise become negatives, other rows that
    overlap no labelled call become calls.

    Example: hum-trainer mine TRAINING/cfg/hums/alpaca_server.cfg --from-selections corrected/
    """
    from hum_trainer.mine_run import run_mining

    run_mining(cfg, from_selections, progress_file)


@app.command()
def suggest_cfg(corpus_root: CorpusRoot, index_in: IndexIn = None) -> None:
    """Propose settings that fit a corpus's calls, each with its reason, as a table and as cfg lines.

    Training takes them by itself where a cfg of recipe windows or frames does not give them.

    Example: hum-trainer suggest-cfg data/training_corpus_v1
    """
    from rich.console import Console

    from hum_trainer.labelled_recordings import labelled_recordings
    from hum_trainer.suggestion import cfg_lines, suggest, suggestion_table

    index = read_or_make_index(corpus_root, index_in or corpus_root, write=False)
    suggestion = suggest(labelled_recordings(index, corpus_root, str(corpus_root)))
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    console.print(suggestion_table(suggestion))
    console.print()
    typer.echo(cfg_lines(suggestion), nl=False)


@app.command()
def synthesise_corpus(
    out: Annotated[Path, typer.Argument(help="folder of the corpus; must be new")],
    tapes: Annotated[int, typer.Option(min=1, help="raw recordings, one animal each")] = 4,
    minutes: Annotated[float, typer.Option(help="length of a tape, min")] = 3.0,
    sample_rate: Annotated[int, typer.Option(help="Hz")] = 16000,
    seed: Annotated[int, typer.Option(min=0, help="seed of every random choice")] = 1,
    first_animal: Annotated[int, typer.Option(min=0, help="number of the first animal")] = 380,
    lowest_snr: Annotated[float, typer.Option(help="faintest hum, dB over the background")] = 3.0,
    highest_snr: Annotated[float, typer.Option(help="loudest hum, dB over the background")] = 25.0,
    distractors: Annotated[float, typer.Option(help="steps, birds, voices and clicks per minute")] = 14.0,
    background: Annotated[Literal["wind", "rain"], typer.Option(help="what is heard all the time")] = "wind",
) -> None:
    """Write a made-up corpus that sounds like a paddock, for trying things out.

    Example: hum-trainer synthesise-corpus data/demo_corpus --tapes 4 --minutes 3
    """
    from hum_trainer.paddock import Paddock, synthesise, tape_names

    paddock = Paddock(
        minutes_per_tape=minutes,
        sample_rate=sample_rate,
        distractors_per_minute=distractors,
        snr_db=(lowest_snr, highest_snr),
        background=background,
        seed=seed,
    )
    n_hums = synthesise(out, tapes=tape_names(tapes, first_animal), paddock=paddock)
    typer.echo(f"{out}: {n_hums} hums on {tapes} tapes" if n_hums else f"{out}: nothing to do, it is all there")


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run_command(lambda: app(spread_values(dashed_options(sys.argv[1:])))))


def _describe(name: str, report: DatasetReport) -> str:
    lines = [f"dataset_{name}"]
    for part, counts in report.counts.items():
        lines.append(f"  {part:<5} " + "  ".join(f"{class_name} {n}" for class_name, n in counts.items()))
    raw = f"used {report.noise_from_raw} times" if report.noise_from_raw else "not used"
    lines.append(
        f"  noise: {report.noise_from_clip} from labelled clips, raw fallback {raw}, {report.noise_skipped} skipped "
        "for lack of room"
    )
    overlaps = report.overlaps
    lines.append(
        f"  overlap check: {overlaps.overlapping_noise} overlapping noise clips, {overlaps.exact_duplicates} exact "
        f"duplicates, {overlaps.noise_touching_hum} noise clips that touch a hum"
    )
    lines.append(f"  leakage: {len(report.shared_tapes)} tapes in more than one part")
    lines += [f"    {tape}: {', '.join(parts)}" for tape, parts in report.shared_tapes.items()]
    return "\n".join(lines)
