"""The stages of a benchmark that need its ground truth: `compare`, and `rf-train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from hum_shared.layout import CORPUS_INDEX, Benchmark
from hum_shared.recordings import recordings_folder
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, task_prefix
from hum_slurm.plan import Plan
from hum_slurm.stages import stage


def plan_ground_truth_stages(
    context: Context, plan: Plan, benchmark: Benchmark, corpus: Path, recordings: Path, decoded: Iterable[Path]
) -> None:
    """Plan `compare` and `rf-train`: one task each, both against the corpus' index.

    Tasks in a container see their inputs alone: so these name the folders of cards, cfgs and `decoded` score tracks.
    """
    index = corpus / CORPUS_INDEX
    if not index.is_file():
        command = shlex.join(["hum-trainer", "index-corpus", str(corpus)])
        plan.warn(f"{index}: not there yet; compare and rf-train need it ({command})")
    truth, runs = context.value(index, plan), context.value(benchmark.runs, plan)
    metrics, per_tape = context.value(benchmark.metrics, plan), context.value(benchmark.metrics_per_tape, plan)
    prefix = task_prefix(context, benchmark)
    forest = context.value(context.given(None, context.settings.rf_model) or context.workspace.forest, plan)
    compare = Task(
        f"{prefix}compare",
        command=[
            "hum-evaluator",
            "compare",
            "--gt",
            truth,
            "--runs",
            runs,
            "--out",
            metrics,
            "--per-tape-out",
            per_tape,
        ],
        inputs=[truth, runs, context.value(context.workspace.models_root, plan), forest],
        outputs=[metrics, per_tape],
    )
    plan_arrays(plan, context, stage("compare"), benchmark.jobs, {"compare.batch": [compare]})
    audio = context.value(recordings_folder(recordings), plan)
    cfgs, scores = context.value(benchmark.cfg_root, plan), context.value(benchmark.scores_root, plan)
    elsewhere = {folder for folder in decoded if not folder.is_relative_to(benchmark.scores_root)}
    train = Task(
        f"{prefix}forest",
        command=[
            *("hum-rf-filter", "train", "--runs", runs, "--gt", truth),
            *("--audio-dir", audio, "--scores", scores, "--out", forest),
        ],
        inputs=[truth, runs, cfgs, scores, *(context.value(folder, plan) for folder in sorted(elsewhere)), audio],
        outputs=[forest],
    )
    plan_arrays(plan, context, stage("rf-train"), benchmark.jobs, {"rf_train.batch": [train]})
