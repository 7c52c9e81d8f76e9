"""The stage `tune`, and what its results mean for the evaluation cfgs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hum_shared.config.decoding import DECODER_FILE, DecoderFile, read_decoder_file
from hum_shared.config.variants import BenchmarkVariant
from hum_shared.files import sha256_file
from hum_shared.layout import Benchmark
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, task_prefix
from hum_slurm.models import KnownModel
from hum_slurm.plan import Plan
from hum_slurm.stages import stage

_STEP_FACTOR = 1.5


def tuned_values(context: Context, plan: Plan, model: KnownModel, variant: BenchmarkVariant) -> dict[str, Any]:
    """Return the keys of `eval.cfg` that tuning decides for a variant; none for `union`, which has but a threshold.

    Where a `decoder.json` lies beside the model its values are returned; where one is still to come, or the model was
    trained anew since, its path, so that a whole chain can be written before its first job runs.

    Raises
    ------
    InputError
        When the `decoder.json` is damaged.
    """
    if variant.decoder == "union" or "decoder_file" in variant.decoder_settings:
        return {}
    path = decoder_file(context, model)
    if path.is_file():
        tuned = read_decoder_file(path)
        if _is_of_another_model(tuned, context.workspace.resolve(model.file)):
            plan.warn(f"{path}: was tuned on scores of another model than the one beside it. Run the stage tune again.")
            if model.corpus_index is not None:  # the stage does, before decoding begins
                return {"decoder_file": context.value(path, plan)}
        settings = tuned.settings(variant.decoder)
        if settings is None:
            plan.warn(f"{path}: holds no settings of decoder {variant.decoder}; its defaults hold")
            return {}
        step_s = tuned.tuned_on.get("step_s")
        if not model.dense and step_s and not _STEP_FACTOR > variant.hop / step_s > 1 / _STEP_FACTOR:
            plan.warn(
                f"{path}: was tuned on windows every {step_s:g} s, {variant.tag} has one every {variant.hop:g} s. Set "
                f"score_hop to {variant.hop_ms} (ms) in {model.name}'s training variant, train and tune again."
            )
        return settings.model_dump(exclude_unset=True, exclude={"decoder", "threshold"})
    return {} if model.corpus_index is None else {"decoder_file": context.value(path, plan)}


def _is_of_another_model(tuned: DecoderFile, model: Path) -> bool:
    """Whether a decoder file says which models' scores it was tuned on, and the model that lies there is none."""
    models = tuned.tuned_on.get("models") or []
    return len(models) > 0 and model.is_file() and sha256_file(model) not in models


def is_tuned(context: Context, model: KnownModel) -> bool:
    """Whether nothing is to be tuned for a model: it has a decoder file of its own, or learnt from no corpus."""
    path = decoder_file(context, model)
    if model.corpus_index is None:
        return True
    return path.is_file() and not _is_of_another_model(read_decoder_file(path), context.workspace.resolve(model.file))


def plan_tune(context: Context, plan: Plan, benchmark: Benchmark, models: Sequence[KnownModel]) -> bool:
    """Plan the tuning of every model whose training scores tapes it has not seen; return whether there is one."""
    tasks = []
    for model in models:
        if model.corpus_index is None:
            continue
        folder = out_of_tape_folder(context, model)
        if context.workspace.resolve(model.file).is_file() and not folder.is_dir():
            plan.warn(f"{folder}: not there. Run the stage train for {model.name} again: it only writes these scores.")
        scores = context.value(folder, plan)
        out = context.value(decoder_file(context, model), plan)
        command = ["hum-evaluator", "tune", "--gt", model.corpus_index, "--scores", scores, "--out", out]
        name = f"{task_prefix(context, benchmark)}{model.name}"
        tasks.append(Task(name, command=command, inputs=[model.corpus_index, scores], outputs=[out]))
    if tasks:
        plan_arrays(plan, context, stage("tune"), benchmark.jobs, {"tune.batch": tasks})
    return bool(tasks)


def out_of_tape_folder(context: Context, model: KnownModel) -> Path:
    """Return where a training puts the scores of its own tapes, each by networks that have not seen them."""
    return context.workspace.resolve(model.file).parent.parent / "out_of_tape"


def decoder_file(context: Context, model: KnownModel) -> Path:
    """Return where the tuned decoder of a model lies, or will lie: beside the model."""
    return context.workspace.resolve(model.file).with_name(DECODER_FILE)
