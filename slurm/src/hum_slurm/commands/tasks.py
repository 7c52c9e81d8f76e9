"""The commands that run, submit, watch and repair the tasks of stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hum_shared.command import say, warn
from hum_shared.config.workspace import open_workspace
from hum_shared.errors import InputError
from hum_shared.files import read_text
from hum_shared.manifest import manifest_digest, read_manifest
from hum_slurm import cluster
from hum_slurm.commands.options import SetName, WorkspaceDir
from hum_slurm.factories.runs import runs_without_task
from hum_slurm.local import run_rows
from hum_slurm.outcome import run_failure, summary
from hum_slurm.report import Report
from hum_slurm.row_numbers import chosen_rows
from hum_slurm.stages import StageName, factory_command, known_stage, stage_jobs
from hum_slurm.written import no_tasks


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
        raise no_tasks(jobs, stage_name, set_name)
    digest = manifest_digest(read_text(manifest))
    rows = read_manifest(manifest, digest)
    if stage_name == "evaluate":
        left_out = runs_without_task(place, place.benchmark(set_name), rows)
        if left_out:
            warn(
                f"{len(left_out)} runs have no task here, the first is {left_out[0]}; "
                f"{factory_command(stage_name, set_name)} writes tasks of all"
            )
    if executor == "slurm":
        if only:
            raise InputError("--only works with --executor local; leave it out")
        cluster.submit_stages(place.root, [stage_name], set_name, chain=False, say=say)
        return
    chosen = chosen_rows(rows, only or [])
    with Report(len(chosen)) as report:
        ended = run_rows(chosen, place, jobs, digest, workers=workers, report=report)
    say(summary(ended, len(chosen)))
    failure = run_failure(ended, len(chosen))
    if failure is not None:
        raise failure


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
    cluster.submit_stages(workspace, names, set_name, chain=chain, dry_run=dry_run, say=say)


def status(
    json_output: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Show how the tasks of every stage stand, and what went wrong where.

    Example: hum-slurm status --json
    """
    cluster.show_status(workspace, json_output=json_output, say=say)


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
    cluster.retry_stage(workspace, stage_name, set_name, dry_run=dry_run, say=say)


def serve_status(
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
    from hum_slurm.serve_status import serve_status as serve

    serve(workspace, host=host, port=port, token_file=token_file)
