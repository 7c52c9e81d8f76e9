"""The factories' commands: they write cfgs, manifests and batch files, and start nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hum_shared.command import say, warn
from hum_slurm.commands.options import SetName, SiteName, WorkspaceDir
from hum_slurm.context import open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.cutouts import Layer, plan_cutouts
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.rf import plan_rf
from hum_slurm.factories.training import plan_training
from hum_slurm.plan import Plan

BenchmarkRoot = Annotated[
    str | None, typer.Option(help="a benchmark tree, relative to the workspace; default: BENCHMARK, or --set")
]
Concurrency = Annotated[int | None, typer.Option(min=1, help="tasks of one array that run at a time")]


def training(
    data_root: Annotated[
        str | None, typer.Option(help="folder of the dataset_* folders; default: of the variant file or workspace.toml")
    ] = None,
    variants_json: Annotated[str | None, typer.Option(help="train_variants.json; default: the shipped one")] = None,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write a training cfg per variant, their manifest and train_models.sbatch.

    Example: hum-slurm training --data-root data/training_corpus_v1 --site gwdg.toml
    """
    _write(plan_training(open_context(workspace, site), data_root=data_root, variants_json=variants_json))


def benchmark(
    corpus_root: Annotated[
        str | None,
        typer.Option(help="corpus with the ground truth; default: none with --predict-in, else that of workspace.toml"),
    ] = None,
    variants_json: Annotated[str | None, typer.Option(help="benchmark_variants.json; default: the shipped one")] = None,
    predict_in: Annotated[
        str | None, typer.Option(help="a recording, a folder or a glob; default: the corpus' labelled recordings")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="look below the folder --predict-in, too")] = False,
    model: Annotated[list[str] | None, typer.Option(help="this model alone; again for more")] = None,
    variant: Annotated[list[str] | None, typer.Option(help="the variant of this tag alone; again for more")] = None,
    set_name: SetName = None,
    max_concurrent: Concurrency = None,
    shards: Annotated[int, typer.Option(min=1, help="tasks per score track, each with its recordings")] = 1,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write prediction and evaluation cfgs for every model and variant; at most 15 tasks of a model at a time.

    Example: hum-slurm benchmark --corpus-root data/benchmark_corpus_v1 --variants-json benchmark_variants.json

    New recordings, without labels: hum-slurm benchmark --predict-in /data/field --set field --model dense
    """
    plan = plan_benchmark(
        open_context(workspace, site),
        corpus_root=corpus_root,
        variants_json=variants_json,
        predict_in=predict_in,
        recursive=recursive,
        set_name=set_name,
        max_concurrent=max_concurrent,
        shards=shards,
        only_models=model or (),
        only_variants=variant or (),
    )
    _write(plan)


def evaluation(
    benchmark_root: BenchmarkRoot = None,
    max_concurrent: Concurrency = None,
    set_name: SetName = None,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write the evaluation tasks of every run; at most 20 of a model at a time.

    Example: hum-slurm evaluation --max-concurrent 20
    """
    plan = plan_evaluation(
        open_context(workspace, site), benchmark_root=benchmark_root, set_name=set_name, max_concurrent=max_concurrent
    )
    _write(plan)


def rf(
    audio_root: Annotated[
        str | None, typer.Option(help="folder of the recordings; default: what each run was scored on")
    ] = None,
    rf_model: Annotated[
        str | None, typer.Option(help="the forest; default: rf_model of workspace.toml, else TRAINING/rf/forest.skops")
    ] = None,
    benchmark_root: BenchmarkRoot = None,
    n_fft: Annotated[int, typer.Option(help="STFT length, samples")] = 2048,
    hop: Annotated[int, typer.Option(help="STFT hop, samples")] = 1024,
    include_deltas: Annotated[
        bool, typer.Option("--include-deltas/--no-include-deltas", help="also differences of the cepstra")
    ] = True,
    rf_threshold: Annotated[
        float | None,
        typer.Option(help="keep selections with this probability; default: as the forest's card recommends, else 0.4"),
    ] = None,
    set_name: SetName = None,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write a filter cfg and task for every run.

    Example: hum-slurm rf --audio-root data/benchmark_corpus_v1/labelled_recordings --rf-model forest.skops
    """
    plan = plan_rf(
        open_context(workspace, site),
        benchmark_root=benchmark_root,
        set_name=set_name,
        audio_root=audio_root,
        rf_model=rf_model,
        rf_threshold=rf_threshold,
        n_fft=n_fft,
        hop=hop,
        include_deltas=include_deltas,
    )
    _write(plan)


def cutouts(
    layer: Annotated[Layer, typer.Option("--stage", help="whose selections")] = "postrf",
    set_name: SetName = None,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write the tasks that cut every run's selections out of the recordings.

    Example: hum-slurm cutouts --stage postrf
    """
    _write(plan_cutouts(open_context(workspace, site), layer=layer, set_name=set_name))


def _write(plan: Plan) -> None:
    changed = plan.write()
    for warning in plan.warnings:
        warn(warning)
    unchanged = len(plan.files) - len(changed)
    if changed:
        say(f"{len(changed)} files written, {unchanged} unchanged")
    else:
        say(f"nothing to do: all {unchanged} files are up to date")
    for step in plan.next_steps:
        say(f"next: {step}")
