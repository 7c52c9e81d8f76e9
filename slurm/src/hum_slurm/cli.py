"""The `hum-slurm` command line: factories that write tasks, and what runs, submits, watches and repairs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hum_shared.command import dashed_options, run_command
from hum_shared.config.workspace import open_workspace
from hum_shared.errors import InputError
from hum_shared.files import read_text
from hum_shared.manifest import manifest_digest, read_manifest
from hum_slurm import cluster
from hum_slurm.context import open_context
from hum_slurm.doctor import examine
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.cutouts import Layer, plan_cutouts
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.rf import plan_rf
from hum_slurm.factories.training import plan_training
from hum_slurm.local import run_rows
from hum_slurm.outcome import run_failure, summary
from hum_slurm.pack_file import read_pack, write_pack
from hum_slurm.packing import make_pack
from hum_slurm.plan import Plan
from hum_slurm.report import Report
from hum_slurm.row_numbers import chosen_rows
from hum_slurm.site import shipped_site_names
from hum_slurm.stages import StageName, known_stage, stage, stage_jobs
from hum_slurm.unpacking import plan_all_scripts, plan_workspace, verify

app = typer.Typer(
    help="Write the tasks of every stage, and run them on this machine or on a Slurm cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

WorkspaceDir = Annotated[Path, typer.Option(help="folder that holds TRAINING/, BENCHMARK/ and workspace.toml")]
SiteName = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join(shipped_site_names())} or a .toml file; default: that of workspace.toml, else generic"
    ),
]
SetName = Annotated[str | None, typer.Option("--set", help="work in BENCHMARK/sets/NAME instead of BENCHMARK")]
BenchmarkRoot = Annotated[
    str | None, typer.Option(help="a benchmark tree, relative to the workspace; default: BENCHMARK, or --set")
]
Concurrency = Annotated[int | None, typer.Option(min=1, help="tasks of one array that run at a time")]


@app.command()
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


@app.command()
def benchmark(
    corpus_root: Annotated[
        str | None, typer.Option(help="corpus with the ground truth; default: benchmark_corpus of workspace.toml")
    ] = None,
    variants_json: Annotated[str | None, typer.Option(help="benchmark_variants.json; default: the shipped one")] = None,
    predict_in: Annotated[
        str | None, typer.Option(help="a recording, a folder or a glob; default: the corpus' labelled recordings")
    ] = None,
    set_name: SetName = None,
    max_concurrent: Concurrency = None,
    shards: Annotated[int, typer.Option(min=1, help="tasks per score track, each with its recordings")] = 1,
    site: SiteName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Write prediction and evaluation cfgs for every model and variant; at most 15 tasks of a model at a time.

    Example: hum-slurm benchmark --corpus-root data/benchmark_corpus_v1 --variants-json benchmark_variants.json
    """
    plan = plan_benchmark(
        open_context(workspace, site),
        corpus_root=corpus_root,
        variants_json=variants_json,
        predict_in=predict_in,
        set_name=set_name,
        max_concurrent=max_concurrent,
        shards=shards,
    )
    _write(plan)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def run(
    stage_name: Annotated[StageName, typer.Argument(metavar="STAGE", help="one of the stages, see above")],
    executor: Annotated[Literal["local", "slurm"], typer.Option(help="this machine, or sbatch")],
    workers: Annotated[int, typer.Option(min=1, help="local: tasks that run at a time")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="local: rows of the manifest, as 3 or 0,2-5")] = None,
    set_name: SetName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Execute a stage that its factory has written: train, predict, tune, rf-train, evaluate, rf, cutouts or compare.

    Example: hum-slurm run predict --executor local --workers 2
    """
    place = open_workspace(workspace)
    jobs = stage_jobs(place, stage_name, set_name)
    manifest = jobs.manifest(stage_name)
    if not manifest.is_file():
        raise InputError(f"{manifest}: not there yet. Run hum-slurm {stage(stage_name).factory} first.")
    digest = manifest_digest(read_text(manifest))
    rows = read_manifest(manifest, digest)
    if executor == "slurm":
        if only:
            raise InputError("--only works with --executor local; leave it out")
        cluster.submit_stages(place.root, [stage_name], set_name, chain=False, say=print)
        return
    chosen = chosen_rows(rows, only or [])
    with Report(len(chosen)) as report:
        ended = run_rows(chosen, place, jobs, digest, workers=workers, report=report)
    print(summary(ended, len(chosen)))
    failure = run_failure(ended, len(chosen))
    if failure is not None:
        raise failure


@app.command()
def submit(
    stages: Annotated[list[str], typer.Argument(metavar="STAGE...", help="in the order in which they run")],
    chain: Annotated[bool, typer.Option("--chain", help="each stage after the one before")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be submitted; submit nothing")] = False,
    set_name: SetName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Hand stages to Slurm: train, predict, tune, rf-train, evaluate, rf, cutouts, compare.

    A stage that is not written yet is written first, by its factory with the arguments of workspace.toml. What is
    written already is submitted as it is.

    Example: hum-slurm submit train predict evaluate rf --chain --dry-run
    """
    names = [known_stage(text) for text in stages]
    cluster.submit_stages(workspace, names, set_name, chain=chain, dry_run=dry_run, say=print)


@app.command()
def status(
    json_output: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Show how the tasks of every stage stand, and what went wrong where.

    Example: hum-slurm status --json
    """
    cluster.show_status(workspace, json_output=json_output, say=print)


@app.command()
def retry_failed(
    stage_name: Annotated[StageName, typer.Argument(metavar="STAGE", help="one of the stages, see hum-slurm submit")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be submitted; submit nothing")] = False,
    set_name: SetName = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Submit the tasks of a stage again that have no complete output.

    Tasks that ended 2 or 3 only once something they read has changed. Twice the memory after a task ran out of it,
    twice the time likewise.

    Example: hum-slurm retry-failed predict
    """
    cluster.retry_stage(workspace, stage_name, set_name, dry_run=dry_run, say=print)


@app.command("serve-status")
def serve_status_command(
    host: Annotated[str, typer.Option(help="address to listen on; any but a loopback one needs --token-file")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8642,
    token_file: Annotated[
        Path | None, typer.Option(help="file with the token that every request must carry then")
    ] = None,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Show the workspace's stages, tasks and runs in a browser: a page, JSON, events and Prometheus text.

    Example: hum-slurm serve-status --port 8642
    """
    from hum_slurm.serve_status import serve_status

    serve_status(workspace, host=host, port=port, token_file=token_file)


@app.command()
def doctor(
    site: SiteName = None,
    test_job: Annotated[bool, typer.Option("--test-job/--no-test-job", help="run a job of one task")] = True,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Check site file, cluster, images, space and inputs, and run a test job; says what to mend.

    Example: hum-slurm doctor --site gwdg.toml
    """
    found = []
    for finding in examine(open_context(workspace, site), test_job=test_job):
        found.append(finding)
        print(f"{finding.state:<8} {finding.text}", flush=True)
    problems = [finding.text for finding in found if finding.state == "problem"]
    if problems:
        raise InputError(f"{len(problems)} problems; the first: {problems[0]}")


@app.command()
def pack(
    out: Annotated[Path, typer.Option(help="the file to write, for example runs.tar.gz")],
    workspace: WorkspaceDir = Path(),
) -> None:
    """Collect what repeats the runs elsewhere: settings, cfgs, tasks, and digests of inputs, models and images.

    Recordings, models and images themselves are not packed.

    Example: hum-slurm pack --out runs.tar.gz
    """
    packed = make_pack(open_context(workspace))
    write_pack(out, packed)
    about = packed.description
    print(
        f"{out}: {len(about.files)} files of {len(about.stages)} stages; digests of {len(about.inputs)} inputs, "
        f"{len(about.models)} models, {len(about.images)} images and {len(about.results)} results"
    )


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="what hum-slurm pack wrote")],
    site: Annotated[str, typer.Option(help=f"{', '.join(shipped_site_names())} or a .toml file")],
    workspace: WorkspaceDir = Path(),
) -> None:
    """Recreate a packed workspace for a site, and check inputs, models, images and results against the pack.

    Run it again once the inputs are copied, and once more when all has run, to compare the results.

    Example: hum-slurm unpack runs.tar.gz --site gwdg.toml --workspace repeated
    """
    packed = read_pack(file)
    plan_workspace(packed, open_context(workspace, site)).write()
    context = open_context(workspace, site)
    changed = plan_all_scripts(packed, context).write()
    print(f"{context.workspace.root}: {len(packed.files)} files of the pack, {len(changed)} batch scripts written")
    problems = []
    for remark in verify(packed, context):
        print(f"{remark.state:<8} {remark.text}", flush=True)
        problems += [remark.text] if remark.state == "problem" else []
    if problems:
        raise InputError(f"not the same as what was packed: {problems[0]}")


def _write(plan: Plan) -> None:
    changed = plan.write()
    for warning in plan.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    unchanged = len(plan.files) - len(changed)
    if changed:
        print(f"{len(changed)} files written, {unchanged} unchanged")
    else:
        print(f"nothing to do: all {unchanged} files are up to date")
    for step in plan.next_steps:
        print(f"next: {step}")


def main() -> None:
    """Run the command line and exit with the pipeline's exit codes."""
    sys.exit(run_command(lambda: app(dashed_options(sys.argv[1:]))))
