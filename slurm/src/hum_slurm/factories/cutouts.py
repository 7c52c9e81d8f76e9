"""`hum-slurm cutouts`: one task per run that cuts its selections out of the recordings."""

from __future__ import annotations

from typing import Literal, get_args

from hum_shared.layout import Benchmark
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, benchmark_tree, suggest_tasks, task_prefix
from hum_slurm.factories.runs import scored_folder, written_runs
from hum_slurm.plan import Plan
from hum_slurm.stages import stage

Layer = Literal["evaluation", "postrf"]


def plan_cutouts(context: Context, *, layer: Layer = "postrf", set_name: str | None = None) -> Plan:
    """Plan the cutouts of one layer for every model × variant that `hum-slurm benchmark` wrote.

    Both layers' tasks stand in one manifest: those of the other layer stay in it where its batch file was written.

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
    scripts = {one: f"cutouts_{one}.batch" for one in get_args(Layer)}
    groups = {
        script: _tasks(context, plan, benchmark, one)
        for one, script in scripts.items()
        if one == layer or (benchmark.jobs.root / script).is_file()
    }
    plan_arrays(plan, context, stage("cutouts"), benchmark.jobs, groups, default_concurrency=20)
    for script in groups.keys() - {scripts[layer]}:
        plan.warn(
            f"{script} stays part of the stage: `run` and `submit` take both layers. Remove it, and write this again, "
            "to leave the other out."
        )
    option = [] if set_name is None else ["--set", set_name]
    suggest_tasks(plan, context, "cutouts", option)
    return plan


def _tasks(context: Context, plan: Plan, benchmark: Benchmark, layer: Layer) -> list[Task]:
    tasks = []
    for model, variant in written_runs(context, benchmark):
        audio = context.value(scored_folder(context.workspace, benchmark, model, variant), plan)
        run = context.value(benchmark.run(model, variant), plan)
        tasks.append(
            Task(
                name=f"{task_prefix(context, benchmark)}{model}__{variant}__{layer}",
                command=["hum-evaluator", "cutouts", run, "--stage", layer, "--audio-dir", audio],
                inputs=[context.value(benchmark.layer_index(model, variant, layer), plan), audio],
                outputs=[context.value(benchmark.cutouts(model, variant, layer), plan)],
            )
        )
    return tasks
