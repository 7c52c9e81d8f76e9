"""`hum-slurm rf`: one filter cfg and one filter task per run, all in one array."""

from __future__ import annotations

from hum_shared.config.cfg import read_cfg, validate
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.rf import RfCfg
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.layout import forest_card
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, benchmark_tree, set_option, suggest_tasks, task_prefix
from hum_slurm.factories.runs import scored_folder, written_runs
from hum_slurm.plan import Plan
from hum_slurm.stages import stage

ARRAY = "rf_all.batch"
LAUNCHER = "rf_runs.batch"


def plan_rf(
    context: Context,
    *,
    benchmark_root: str | None = None,
    set_name: str | None = None,
    audio_root: str | None = None,
    rf_model: str | None = None,
    rf_threshold: float | None = None,
    n_fft: int = 2048,
    hop: int = 1024,
    include_deltas: bool = True,
) -> Plan:
    """Plan the Random Forest filter for every model × variant that `hum-slurm benchmark` wrote.

    Parameters
    ----------
    context
        Workspace, settings and site.
    benchmark_root, set_name
        Which benchmark tree; at most one of them.
    audio_root
        Folder of the recordings; None takes what each run was scored on.
    rf_model
        The forest; None takes the workspace's, or where `rf-train` writes one. Its digest is pinned in every
        cfg if it is there already.
    rf_threshold
        None takes what the forest's card recommends when the filter runs, or 0.4 where it recommends nothing, as
        forests from elsewhere do.
    n_fft, hop, include_deltas
        See :class:`~hum_shared.config.rf.RfCfg`.

    Raises
    ------
    InputError
        When there is no run, or no folder `audio_root`.
    CfgError
        When an option breaks a rule, or a value of the site is left to be filled in.
    """
    plan = context.start_plan()
    benchmark = benchmark_tree(context, set_name, benchmark_root)
    forest = context.given(rf_model, context.settings.rf_model) or context.workspace.forest
    digest = sha256_file(forest) if forest.is_file() else None
    if digest is None:
        plan.warn(
            f"{forest}: not there yet, so its digest cannot be pinned; rf-train writes it (skops), or put it there"
        )
    audio = context.given(audio_root, None)
    if audio is not None and not audio.is_dir():
        raise InputError(f"{audio}: no such folder; name that of the recordings with --audio-root")
    card = context.value(forest_card(forest), plan)
    tasks = []
    for model, variant in written_runs(context, benchmark):
        run = benchmark.run(model, variant)
        recordings = audio or scored_folder(context.workspace, benchmark, model, variant)
        evaluation = read_cfg(benchmark.cfg(model, variant, "eval"), EvaluationCfg)
        scores = evaluation.scores_dir or evaluation.prediction_dir
        threshold = {"use_card_threshold": True} if rf_threshold is None else {"rf_threshold": rf_threshold}
        values = {
            "run_root": context.value(run, plan),
            "audio_dir": context.value(recordings, plan),
            "rf_model_path": context.value(forest, plan),
            "scores_dir": scores,
            **threshold,
            "n_fft": n_fft,
            "hop": hop,
            "include_deltas": include_deltas,
            "rf_model_sha256": digest,
        }
        cfg = validate(RfCfg, values, "options of hum-slurm rf")
        cfg_path = benchmark.cfg(model, variant, "rf")
        plan.add_cfg(cfg_path, cfg)
        cfg_text = context.value(cfg_path, plan)
        name = f"{task_prefix(context, benchmark)}{model}__{variant}"
        tasks.append(
            Task(
                name=name,
                command=["hum-rf-filter", "run", cfg_text],
                inputs=[cfg_text, cfg.run_root, cfg.audio_dir, cfg.rf_model_path, card, scores],
                outputs=[context.value(benchmark.layer_index(model, variant, "postrf"), plan)],
            )
        )
    plan_arrays(plan, context, stage("rf"), benchmark.jobs, {ARRAY: tasks}, launcher=LAUNCHER, default_concurrency=20)
    option = set_option(context, benchmark)
    if option is None:
        plan.suggest("bash", benchmark.jobs.root / LAUNCHER)
    else:
        suggest_tasks(plan, context, "rf", option)
    return plan
