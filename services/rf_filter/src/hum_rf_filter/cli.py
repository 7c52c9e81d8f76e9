"""The command line `hum-rf-filter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hum_shared.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="Compute acoustic features of selections, train a Random Forest on them, filter selections by it.",
)

# The libraries behind the commands take seconds to load: `--help` need not wait for them.

ProgressFile = Annotated[Path | None, typer.Option(help="Keep the progress in this JSON file.")]
StatusPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Show the status at this port of 127.0.0.1; 0: a free one.")
]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0: all CPUs.")]
NFft = Annotated[int, typer.Option("--n-fft", min=2, help="STFT length, samples.")]
Hop = Annotated[int, typer.Option(min=1, help="STFT hop, samples.")]
NMfcc = Annotated[int, typer.Option("--n-mfcc", min=1, max=128, help="Cepstral coefficients.")]
Scores = Annotated[Path | None, typer.Option(help="Folder of the score tracks, for the features that need them.")]
NoDeltas = Annotated[bool, typer.Option("--no-deltas", help="Leave out the differences of the coefficients.")]


@app.command("run", epilog="Example: hum-rf-filter run BENCHMARK/cfg/v1_random/len400_hop050_th90/rf.cfg")
def run_command_line(
    cfg: Annotated[Path, typer.Argument(help="An rf.cfg.")],
    progress_file: ProgressFile = None,
    status_port: StatusPort = None,
) -> None:
    """Filter the selections of a run: postrf/features_py, postrf/annotations, postrf/index.json."""
    from hum_shared.stopping import StopRequest

    stop = StopRequest().install()  # the imports of the filter take a second
    from hum_rf_filter.run import run_filter
    from hum_shared.status.task import own_status

    stop.check("nothing was begun")
    with own_status(status_port, cfg, progress_file) as kept_in:
        done = run_filter(cfg, kept_in, stop)
    if done.up_to_date:
        print(f"nothing to do: {done.index_file} is up to date")
    else:
        print(f"{done.n_kept} of {done.n_selections} selections kept: {done.index_file}")


@app.command(
    "extract",
    epilog="Example: hum-rf-filter extract --sel-dir labelled_tables"
    " --audio-dir data/corpus_v1/labelled_recordings --out features.csv",
)
def extract_command_line(
    sel_dir: Annotated[Path, typer.Option(help="Folder of selection tables (*.txt), named after their recordings.")],
    audio_dir: Annotated[Path, typer.Option(help="Folder of the recordings; sub-folders count.")],
    out: Annotated[Path, typer.Option(help="The CSV.")],
    n_fft: NFft = 2048,
    hop: Hop = 1024,
    n_mfcc: NMfcc = 13,
    no_deltas: NoDeltas = False,
    scores: Scores = None,
    workers: Workers = 0,
    progress_file: ProgressFile = None,
) -> None:
    """Write the features of all selections of a folder of tables into one CSV."""
    from hum_rf_filter.extract import extract_features
    from hum_rf_filter.features import FeatureSettings

    settings = FeatureSettings(n_fft, _checked_hop(hop, n_fft), n_mfcc, not no_deltas)
    done = extract_features(sel_dir, audio_dir, out, settings, scores, workers, progress_file)
    print(f"{done.n_selections} selections of {done.n_recordings} recordings, {done.n_labelled} labelled: {out}")


@app.command(
    "train",
    epilog="Examples: hum-rf-filter train --features features.csv --out forest.skops; "
    "hum-rf-filter train --runs BENCHMARK/runs --gt data/benchmark_corpus_v1/corpus_index.json"
    " --audio-dir data/benchmark_corpus_v1/labelled_recordings --scores BENCHMARK/scores"
    " --out TRAINING/rf/forest.skops",
)
def train_command_line(
    out: Annotated[Path, typer.Option(help="The forest (.skops); its card goes beside it.")],
    features: Annotated[Path | None, typer.Option(help="A feature CSV with validated_label.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Instead: folder of <model>/<variant>/ runs.")] = None,
    gt: Annotated[Path | None, typer.Option(help="With --runs: corpus_index.json that labels candidates.")] = None,
    audio_dir: Annotated[Path | None, typer.Option(help="With --runs: folder of the recordings.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="With --runs: BENCHMARK/scores; else features that need scores are left out.")
    ] = None,
    neg_per_pos: Annotated[
        float | None, typer.Option(min=0, help="Noise rows per target row to learn from, within each tape; none: all.")
    ] = None,
    trees: Annotated[int, typer.Option(min=1, help="Trees of the forest.")] = 800,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and data give the same forest.")] = 0,
    recall_floor: Annotated[
        float, typer.Option(min=0, max=1, help="Least recall of the recall-first threshold.")
    ] = 0.93,
    beta: Annotated[float, typer.Option(min=0.01, help="Weight of recall in the F-beta threshold.")] = 1.25,
    n_fft: NFft = 2048,
    hop: Hop = 1024,
    n_mfcc: NMfcc = 13,
    no_deltas: NoDeltas = False,
    workers: Workers = 0,
    progress_file: ProgressFile = None,
) -> None:
    """Train a forest on labelled features, or on the candidates of runs labelled by ground truth.

    With --features, --n-fft and --hop only tell the card what the CSV was extracted with. With --runs, Random Forest
    and Extra Trees are compared, votes are calibrated, and the card recommends a threshold.
    """
    from hum_rf_filter.features import FeatureSettings
    from hum_rf_filter.train import train_on_features, train_on_runs
    from hum_rf_filter.training import TrainingSettings

    settings = TrainingSettings(neg_per_pos, trees, seed, recall_floor, beta)
    feature_settings = FeatureSettings(n_fft, _checked_hop(hop, n_fft), n_mfcc, not no_deltas)
    if features is not None and runs is None and gt is None and audio_dir is None and scores is None:
        done = train_on_features(features, out, settings, feature_settings, progress_file)
    elif features is None and runs is not None and gt is not None and audio_dir is not None:
        done = train_on_runs(runs, gt, audio_dir, out, settings, feature_settings, scores, workers, progress_file)
    else:
        raise InputError("train takes either --features, or all of --runs, --gt and --audio-dir (and --scores)")
    if done.report is None:
        print(f"nothing to do: {out} is up to date")
    else:
        print(done.report)
    shown = ", ".join(f"{rule} {threshold:.4f}" for rule, threshold in done.card.thresholds.items()) or "none"
    if done.card.recommended is not None:
        print(f"recommended threshold {done.card.recommended.threshold:.4f}: {done.card.recommended.reason}")
    print(f"thresholds ({shown}) stand in the card; rf.cfg decides which is used: {out}")


def _checked_hop(hop: int, n_fft: int) -> int:
    if hop > n_fft:
        raise InputError(f"--hop {hop} is longer than --n-fft {n_fft}; samples would be left out")
    return hop
