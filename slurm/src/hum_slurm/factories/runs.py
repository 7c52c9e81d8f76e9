"""The runs of a benchmark tree: every model × variant that has an evaluation cfg, whether it was run or not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hum_shared.config.cfg import read_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.errors import InputError
from hum_shared.layout import Benchmark, Workspace
from hum_shared.manifest import Row
from hum_shared.recordings import recordings_folder
from hum_slurm.context import Context, set_option


def benchmark_runs(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return (model, variant) of every run that has an evaluation cfg, sorted; empty without any."""
    return sorted((path.parts[-3], path.parts[-2]) for path in benchmark.cfg_root.glob("*/*/eval.cfg"))


def written_runs(context: Context, benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return :func:`benchmark_runs`.

    Raises
    ------
    InputError
        When there is none.
    """
    runs = benchmark_runs(benchmark)
    if not runs:
        command = shlex.join(["hum-slurm", "benchmark", *(set_option(context, benchmark) or [])])
        raise InputError(f"{benchmark.cfg_root}: no <model>/<variant>/eval.cfg. Run {command} first.")
    return runs


def runs_without_task(workspace: Workspace, benchmark: Benchmark, rows: Sequence[Row]) -> list[str]:
    """Return the evaluation cfgs of a benchmark tree that none of the stage's rows reads, relative to the workspace."""
    read = {workspace.resolve(text) for row in rows for text in row.inputs}
    cfgs = (benchmark.cfg(model, variant, "eval") for model, variant in benchmark_runs(benchmark))
    return [workspace.relative(path) for path in cfgs if path not in read]


def scored_folder(workspace: Workspace, benchmark: Benchmark, model: str, variant: str) -> Path:
    """Return the folder of the recordings a run is made of, as its prediction cfg says.

    Raises
    ------
    InputError
        When there is no prediction cfg.
    """
    cfg = read_cfg(benchmark.cfg(model, variant, "predict"), PredictionCfg)
    return recordings_folder(workspace.resolve(cfg.input_file))
