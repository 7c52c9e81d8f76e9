"""`hum-slurm cutouts`: one task per run that cuts its selections out of the recordings."""

from __future__ import annotations

from typing import Literal

from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, benchmark_tree, task_prefix
from hum_slurm.factories.runs import scored_folder, written_runs
from hum_slurm.plan import Plan
from hum_slurm.stages import stage

Layer = Literal["evaluation", "postrf"]


def plan_cutouts(context: Context, *, layer: Layer = "postrf", set_name: str | None = None) -> Plan:
    """Plan the cutouts of one layer for every model × variant that `hum-slurm benchmark` wrote.

    Parameters
    ----------
    context
        Workspace, settings and site.
    layer
        Whose selections: those of the evaluation or those that passed the filter.
    set_name
        Which set; None takes the benchmark itself.

    Raises
    ------
    InputError
        When there is no run.
    CfgError
        When a value of the site is left to be filled in.
    """
    plan = context.start_plan()
    benchmark = benchmark_tree(context, set_name)
    tasks = []
    for model, variant in written_runs(benchmark):
        audio = context.value(scored_folder(context.workspace, benchmark, model, variant), plan)
        name = f"{task_prefix(context, benchmark)}{model}__{variant}__{layer}"
        run = context.value(benchmark.run(model, variant), plan)
        tasks.append(
            Task(
                name=name,
                command=["hum-evaluator", "cutouts", run, "--stage", layer, "--audio-dir", audio],
                inputs=[context.value(benchmark.layer_index(model, variant, layer), plan), audio],
                outputs=[context.value(benchmark.cutouts(model, variant, layer), plan)],
            )
        )
    script = f"cutouts_{layer}.batch"
    plan_arrays(plan, context, stage("cutouts"), benchmark.jobs, {script: tasks}, default_concurrency=20)
    option = [] if set_name is None else ["--set", set_name]
    plan.suggest("hum-slurm", "run", "cutouts", "--executor", "local", *option)
    plan.suggest("sbatch", benchmark.jobs.root / script)
    return plan
