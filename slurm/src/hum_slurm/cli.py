"""The `hum-slurm` command line: factories that write tasks, and what runs, submits, watches and repairs them."""

from __future__ import annotations

import sys

import typer

from hum_shared.command import dashed_options, run_command
from hum_slurm.commands import factories, places, tasks

app = typer.Typer(
    help="Write the tasks of every stage, and run them on this machine or on a Slurm cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

for command in (
    factories.training,
    factories.benchmark,
    factories.evaluation,
    factories.rf,
    factories.cutouts,
    tasks.run,
    tasks.submit,
    tasks.status,
    tasks.retry_failed,
    tasks.serve_status,
    places.doctor,
    places.pack,
    places.unpack,
):
    app.command()(command)


def main() -> None:
    """Run the command line and exit with the pipeline's exit codes."""
    sys.exit(run_command(lambda: app(dashed_options(sys.argv[1:]))))
