"""`hum-slurm benchmark`: models × variants → prediction and evaluation cfgs; one task per distinct score track."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from hum_shared.config.cfg import validate
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.config.variants import BenchmarkVariant, read_benchmark_variants
from hum_shared.errors import InputError
from hum_shared.layout import CORPUS_INDEX, Benchmark
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, benchmark_tree, suggest_tasks, task_prefix
from hum_slurm.factories.ground_truth import plan_ground_truth_stages
from hum_slurm.factories.runs import benchmark_runs
from hum_slurm.factories.tuned import is_tuned, out_of_tape_folder, plan_tune, tuned_values
from hum_slurm.models import CARD_FILE, KnownModel, known_models
from hum_slurm.plan import Plan
from hum_slurm.recordings import refuse_other_recordings, warn_of_other_tracks, what_to_score
from hum_slurm.stages import StageName, stage

SHIPPED_VARIANTS = Path(__file__).parents[1] / "variants" / "benchmark_variants.json"
LAUNCHER = "pred_models.batch"

_OURS = frozenset({"prediction_dir", "output_dir", "scores_dir"})

_T = TypeVar("_T")


def plan_benchmark(
    context: Context,
    *,
    corpus_root: str | None = None,
    variants_json: str | None = None,
    predict_in: str | None = None,
    set_name: str | None = None,
    max_concurrent: int | None = None,
    recursive: bool = False,
    shards: int = 1,
    only_models: Sequence[str] = (),
    only_variants: Sequence[str] = (),
) -> Plan:
    """Plan the cfgs of every model × variant, and the predict, tune, compare and rf-train stages.

    Recordings that `predict_in` names without a `corpus_root` have no ground truth: compare and rf-train are left out.

    Parameters
    ----------
    context
        Workspace, settings and site.
    corpus_root
        The corpus whose `corpus_index.json` is the ground truth; None takes the workspace's.
    variants_json
        The variant file; None takes the workspace's or else the shipped one.
    predict_in
        A recording, a folder or a glob; None takes the corpus' labelled recordings.
    recursive
        Look into sub-folders as well.
    set_name
        Writes `BENCHMARK/sets/<name>/` instead of `BENCHMARK/`.
    max_concurrent
        Tasks of an array that run at a time; None takes the site's, or else 15.
    shards
        Tasks per score track, each with its share of the recordings.
    only_models, only_variants
        Names of models, and tags of variants; none: all.

    Raises
    ------
    InputError
        When there is no model, no corpus or nothing to predict on, a model fits no variant, or a name is none of a
        model or variant.
    CfgError
        When a variant breaks a rule, or a value of the site is left to be filled in.
    """
    plan = context.start_plan()
    benchmark = benchmark_tree(context, set_name)
    corpus, recordings = what_to_score(context, plan, corpus_root, predict_in, recursive)
    if set_name is not None and corpus_root is None and predict_in is None:
        refuse_other_recordings(context, benchmark, recordings)
    variants_path = context.given(variants_json, context.settings.benchmark_variants) or SHIPPED_VARIANTS
    by_tag = {variant.tag: variant for variant in read_benchmark_variants(variants_path)}
    variants = _chosen(by_tag, only_variants, f"{variants_path}: no variant")
    by_name = {model.name: model for model in known_models(context.workspace)}
    models = _chosen(by_name, only_models, f"{context.workspace.models_root}: no model")
    cfgs = {model.name: _fitting(model, variants, variants_path, plan, chosen=bool(only_variants)) for model in models}
    models = [model for model in models if cfgs[model.name]]
    if not models:
        raise InputError(f"{variants_path}: no model has the window of {', '.join(only_variants)}; choose another")
    first = next(iter(by_tag.values()))
    input_file = context.value(recordings, plan)
    tracks: dict[str, list[Task]] = {}
    decoded, filled = set[Path](), set[Path]()
    for model in models:
        seen: set[str] = set()
        tasks: list[Task] = []
        for variant in cfgs[model.name]:
            # Scores of frames depend on neither window nor hop: all variants share the track of the file's first.
            scored = first if model.dense else variant
            scores = benchmark.scores(model.name, scored.sequence_ms, scored.hop_ms)
            prediction = _prediction_cfg(context, plan, benchmark, model, variant, scores, input_file, recursive)
            out_of_tape = None if predict_in is not None else _out_of_tape(context, model, corpus)
            read = out_of_tape or scores
            decoded.add(read)
            evaluation = _evaluation_cfg(context, plan, benchmark, model, variant, read, variants_path)
            cfg_path = benchmark.cfg(model.name, variant.tag, "predict")
            plan.add_cfg(cfg_path, prediction)
            plan.add_cfg(benchmark.cfg(model.name, variant.tag, "eval"), evaluation)
            if (
                out_of_tape is None and prediction.output_dir not in seen
            ):  # variants that differ in threshold or decoder share the track
                seen.add(prediction.output_dir)
                filled.add(scores)
                tasks += _track_tasks(context, plan, benchmark, model, prediction, cfg_path, shards)
        if tasks:
            tracks[f"pred_{model.name}.batch"] = tasks
    if tracks:
        plan_arrays(
            plan,
            context,
            stage("predict"),
            benchmark.jobs,
            tracks,
            launcher=LAUNCHER,
            concurrency=max_concurrent,
            default_concurrency=15,
        )
    warn_of_other_tracks(plan, filled, recordings, recursive=recursive)
    planned = {(model, variant.tag) for model, fitting in cfgs.items() for variant in fitting}
    for model_name, tag in sorted(set(benchmark_runs(benchmark)) - planned):
        plan.warn(f"{benchmark.cfg_root / model_name / tag}: not of these models and variants; kept, and evaluated too")
    if corpus is None:
        if set_name is None:
            plan.warn(f"{recordings}: scored instead of the benchmark's recordings; --set NAME keeps both apart")
        _warn_of_earlier(plan, benchmark, "compare", "compare.batch")
        _warn_of_earlier(plan, benchmark, "rf-train", "rf_train.batch")
    else:
        plan_ground_truth_stages(context, plan, benchmark, corpus, recordings, decoded)
    tunes = plan_tune(context, plan, benchmark, models)
    option = [] if set_name is None else ["--set", set_name]
    if tracks:
        suggest_tasks(plan, context, "predict", option)
    else:
        _warn_of_earlier(plan, benchmark, "predict", "pred_*.batch")
    if tunes and not all(is_tuned(context, model) for model in models):
        suggest_tasks(plan, context, "tune", option)
    elif not tunes:
        _warn_of_earlier(plan, benchmark, "tune", "tune.batch")
    plan.suggest("hum-slurm", "evaluation", *option, *context.place_options, *context.site_options)
    return plan


def _warn_of_earlier(plan: Plan, benchmark: Benchmark, name: StageName, scripts: str) -> None:
    """Warn of the tasks of a stage that an earlier benchmark had and this one has not: they would still be run."""
    manifest = benchmark.jobs.manifest(name)
    if manifest.is_file():
        left = shlex.join(["rm", "--", *map(str, [manifest, *sorted(benchmark.jobs.root.glob(scripts))])])
        plan.warn(f"{manifest}: of an earlier benchmark; this one has no task of {name}. Remove it: {left}")


def _chosen(known: Mapping[str, _T], names: Sequence[str], none_called: str) -> list[_T]:
    """Return what has one of these names, in the order of `known`; all without names."""
    for name in names:
        if name not in known:
            raise InputError(f"{none_called} {name!r}; there are {', '.join(known)}")
    return [one for name, one in known.items() if not names or name in names]


def _out_of_tape(context: Context, model: KnownModel, corpus: Path | None) -> Path | None:
    """Return the folder of score tracks that the training itself wrote of its whole corpus, each by networks that have
    not seen the tape; None where the benchmark is another corpus. Scoring the corpus anew would only flatter the model.
    """
    if not model.dense or model.corpus_index is None or corpus is None:
        return None
    if context.workspace.resolve(model.corpus_index).resolve() != (corpus / CORPUS_INDEX).resolve():
        return None
    return out_of_tape_folder(context, model)


def _fitting(
    model: KnownModel, variants: Sequence[BenchmarkVariant], path: Path, plan: Plan, *, chosen: bool
) -> list[BenchmarkVariant]:
    """Return the variants whose window is the one the model was trained with; all when that is unknown or means
    nothing to the model. None of chosen ones is a warning, none of the file's an error.
    """
    if model.dense:
        return list(variants)
    if model.sequence_ms is None:
        card = PurePosixPath(model.file).with_name(CARD_FILE)
        plan.warn(
            f"{model.name}: neither a training cfg nor a model card names its window; taken: the variants' windows, "
            f"min_max_norm={str(bool(model.min_max_norm)).lower()}. If it was trained otherwise, its scores mean "
            f'nothing: write {card}, such as {{"data_opts": {{"sequence_len_ms": 400, "min_max_norm": true}}}}, and '
            "plan again."
        )
        return list(variants)
    fitting = [variant for variant in variants if variant.sequence_ms == model.sequence_ms]
    others = [variant.tag for variant in variants if variant.sequence_ms != model.sequence_ms]
    if not fitting and chosen:
        plan.warn(f"{model.name} is left out: trained with {model.sequence_ms} ms, unlike {', '.join(others)}")
        return []
    if not fitting:
        raise InputError(
            f"{path}: no variant has the window of model {model.name}, {model.sequence_ms} ms; there are "
            f"{', '.join(others)}. Add a variant with seq_len {model.sequence_ms / 1000:g}."
        )
    for tag in others:
        plan.warn(f"{path}: {tag} is left out for model {model.name}, which was trained with {model.sequence_ms} ms")
    return fitting


def _prediction_cfg(
    context: Context,
    plan: Plan,
    benchmark: Benchmark,
    model: KnownModel,
    variant: BenchmarkVariant,
    scores: Path,
    input_file: str,
    recursive: bool,
) -> PredictionCfg:
    cfg = PredictionCfg(
        model_path=model.file,
        output_dir=context.value(scores, plan),
        log_dir=context.value(benchmark.prediction(model.name, variant.tag), plan),
        input_file=input_file,
        sequence_len=variant.seq_len,
        hop=variant.hop,
        threshold=variant.threshold,
        jit_load=model.torchscript,
        min_max_norm=bool(model.min_max_norm),
        score_tail=True,
    )
    return cfg.model_copy(update={"recursive": True}) if recursive else cfg


def _evaluation_cfg(
    context: Context,
    plan: Plan,
    benchmark: Benchmark,
    model: KnownModel,
    variant: BenchmarkVariant,
    scores: Path,
    path: Path,
) -> EvaluationCfg:
    clash = sorted(_OURS & variant.decoder_settings.keys())
    if clash:
        raise InputError(f"{path}: {variant.tag}: {clash[0]} is set by hum-slurm benchmark itself. Remove it.")
    values = {
        **tuned_values(context, plan, model, variant),
        **variant.decoder_settings,
        "prediction_dir": context.value(benchmark.prediction(model.name, variant.tag), plan),
        "output_dir": context.value(benchmark.tables(model.name, variant.tag), plan),
        "scores_dir": context.value(scores, plan),
        "threshold": variant.threshold,
        "decoder": variant.decoder,
    }
    source = f"{path}: {variant.tag}"
    cfg = validate(EvaluationCfg, values, source)
    if cfg.decoder_file is None:
        cfg.decoding(None, source)  # what would be refused when it is run is refused here
    return cfg


def _track_tasks(
    context: Context,
    plan: Plan,
    benchmark: Benchmark,
    model: KnownModel,
    cfg: PredictionCfg,
    cfg_path: Path,
    shards: int,
) -> list[Task]:
    cfg_text = context.value(cfg_path, plan)
    name = f"{task_prefix(context, benchmark)}{model.name}__{Path(cfg.output_dir).name}"
    tasks = []
    for number in range(1, shards + 1):
        shard = f"__shard-{number}-of-{shards}" if shards > 1 else ""
        command = ["hum-predictor", "run", cfg_text, *(["--shard", f"{number}/{shards}"] if shards > 1 else [])]
        inputs = [cfg_text, cfg.model_path, cfg.input_file]
        kept = [cfg.log_dir] if cfg.log_dir else []
        tasks.append(Task(name + shard, command=command, inputs=inputs, outputs=[cfg.output_dir], state=kept))
    return tasks
