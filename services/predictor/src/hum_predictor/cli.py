"""`hum-predictor`: the command line."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hum_shared.command import dashed_options, run_command
from hum_shared.stopping import StopRequest

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)


class DeviceOption(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.callback()
def root() -> None:
    """Score recordings with a trained network: recording → score track."""


@app.command()
def run(
    cfg: Annotated[Path, typer.Argument(help="predict.cfg", metavar="CFG")],
    shard: Annotated[
        str | None, typer.Option(help="score only part K of N, balanced by seconds of audio", metavar="K/N")
    ] = None,
    device: Annotated[
        DeviceOption | None, typer.Option(envvar="HUM_DEVICE", help="wins over device and no_cuda of the cfg")
    ] = None,
    progress_file: Annotated[Path | None, typer.Option(help="where to keep the task's progress as JSON")] = None,
    status_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="show the status at this port of 127.0.0.1; 0: a free one")
    ] = None,
) -> None:
    """Score every recording that has no up-to-date score track.

    Example: hum-predictor run BENCHMARK/cfg/v1_random/len400_hop050_th90/predict.cfg --shard 1/4
    """
    stop = StopRequest().install()
    from hum_predictor.run import run_prediction  # torch takes seconds to import: neither --help nor a signal waits
    from hum_shared.status.task import own_status

    stop.check("nothing was begun")
    with own_status(status_port, cfg, progress_file) as kept_in:
        run_prediction(cfg, shard=shard, device=device.value if device else None, progress_file=kept_in, stop=stop)


def main() -> None:
    """Console entry point."""
    sys.exit(run_command(lambda: app(dashed_options(sys.argv[1:]))))
