"""`hum-slurm evaluation`: one evaluation task per run, one array per model."""

from __future__ import annotations

from hum_shared.config.cfg import read_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, benchmark_tree, set_option, suggest_tasks, task_prefix
from hum_slurm.factories.runs import written_runs
from hum_slurm.plan import Plan
from hum_slurm.stages import stage

LAUNCHER = "eval_models.batch"


def plan_evaluation(
    context: Context,
    *,
    benchmark_root: str | None = None,
    set_name: str | None = None,
    max_concurrent: int | None = None,
) -> Plan:
    """Plan the evaluation of every model × variant that `hum-slurm benchmark` wrote.

    Parameters
    ----------
    context
        Workspace, settings and site.
    benchmark_root, set_name
        Which benchmark tree; at most one of them.
    max_concurrent
        Tasks of an array that run at a time; None takes the site's, or else 20.

    Raises
    ------
    InputError
        When there is no evaluation cfg.
    CfgError
        When an evaluation cfg breaks a rule, or a value of the site is left to be filled in.
    """
    plan = context.start_plan()
    benchmark = benchmark_tree(context, set_name, benchmark_root)
    evaluate = stage("evaluate")
    groups: dict[str, list[Task]] = {}
    for model, variant in written_runs(context, benchmark):
        cfg_path = benchmark.cfg(model, variant, "eval")
        cfg, cfg_text = read_cfg(cfg_path, EvaluationCfg), context.value(cfg_path, plan)
        name = f"{task_prefix(context, benchmark)}{model}__{variant}"
        task = Task(
            name=name,
            command=["hum-evaluator", "run", cfg_text],
            inputs=[cfg_text, *(text for text in (cfg.scores_dir, cfg.prediction_dir, cfg.decoder_file) if text)],
            outputs=[context.value(benchmark.layer_index(model, variant, "evaluation"), plan)],
        )
        groups.setdefault(f"eval_{model}.batch", []).append(task)
    plan_arrays(
        plan,
        context,
        evaluate,
        benchmark.jobs,
        groups,
        launcher=LAUNCHER,
        concurrency=max_concurrent,
        default_concurrency=20,
    )
    option = set_option(context, benchmark)
    if option is None:
        plan.suggest("bash", benchmark.jobs.root / LAUNCHER)
    else:
        suggest_tasks(plan, context, "evaluate", option)
    return plan
