"""`hum-slurm training`: training variants → training cfgs, one training task each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hum_shared.config.cfg import nearest_key, validate
from hum_shared.config.training import RECIPE_DEFAULTS, TrainingCfg
from hum_shared.config.variants import TrainVariant, TrainVariants, read_train_variants
from hum_shared.errors import CfgError, InputError
from hum_shared.layout import CORPUS_INDEX, MODEL_FILE
from hum_slurm.arrays import Task, plan_arrays
from hum_slurm.context import Context, suggest_tasks
from hum_slurm.plan import Plan
from hum_slurm.site import JobSettings, is_placeholder
from hum_slurm.stages import stage

SHIPPED_VARIANTS = Path(__file__).parents[1] / "variants" / "train_variants.json"
BATCH = "train_models.sbatch"
_PREFIX = "dataset_"
_OURS = frozenset({"data_dir", "corpus_index", "model_dir", "checkpoint_dir", "log_dir", "summary_dir"})
_KEYS = {key: field for key, field in TrainingCfg.model_fields.items() if key not in _OURS}


class SlurmWishes(BaseModel):
    """`globals.slurm` of `train_variants.json`: what holds where the site file says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str | None = None
    gpus: str | int | None = Field(None, description="as after -G: a count, or A100:1")
    cpus: int | None = Field(None, ge=1)
    nodes: int | None = Field(None, ge=1, le=1, description="a task runs on one node")
    time: str | None = None
    account: str | None = None
    max_concurrency: int | None = Field(None, ge=1)

    def as_job_settings(self) -> dict[str, Any]:
        """Return the wishes that are given, under the names that site files use."""
        wishes = {
            "partition": self.partition,
            "gpu": None if self.gpus in (None, 0, "0") else f"-G {self.gpus}",
            "cpus": self.cpus,
            "time": self.time,
            "account": self.account,
            "concurrency": self.max_concurrency,
        }
        return {key: value for key, value in wishes.items() if value is not None}


def plan_training(context: Context, *, data_root: str | None = None, variants_json: str | None = None) -> Plan:
    """Plan the training cfgs, manifest and array.

    Parameters
    ----------
    context
        Workspace, settings and site.
    data_root
        Folder of the `dataset_*` folders; None takes the variant file's, the workspace's, its training corpus
        or else `data/`.
    variants_json
        The variant file; None takes the workspace's or else the shipped one.

    Raises
    ------
    CfgError
        When a variant breaks a rule, or a value of the site is left to be filled in.
    InputError
        When no variant is named and `data_root` holds no dataset.
    """
    plan = context.start_plan()
    path = context.given(variants_json, context.settings.train_variants) or SHIPPED_VARIANTS
    variants = read_train_variants(path)
    _refuse_unknown_keys(variants, path)
    datasets_folder = _data_root(context, data_root, variants)
    chosen = _chosen_variants(variants, datasets_folder, path)
    train = stage("train")
    runs = context.workspace.resolve(variants.globals.runs_root) if variants.globals.runs_root else None
    tasks = []
    for name, variant in chosen.items():
        folder = context.workspace.model_folder(name) if runs is None else runs / "models" / name
        wishes = {**variants.globals.overrides, **variant.overrides}
        values = {
            **(_corpus_defaults(str(wishes.get("recipe", "frames"))) if variant.corpus else {}),
            **wishes,
            **_source(context, plan, variant, datasets_folder),
            "model_dir": context.value(folder / "models", plan),
            "checkpoint_dir": context.value(folder / "checkpoints", plan),
            "log_dir": context.value(folder / "logs", plan),
            "summary_dir": context.value(folder / "summaries", plan),
        }
        recipe = values.get("recipe", "clips")
        if (recipe == "clips") != (variant.corpus is None):
            learns = "a corpus" if variant.corpus else "a dataset"
            raise CfgError(f"{path}: variant {name}: recipe {recipe} does not learn from {learns}")
        cfg = validate(TrainingCfg, values, f"{path}: variant {name}")
        if cfg.recipe == "clips":  # every setting is written; other recipes take what is not given from the data
            cfg = cfg.with_values(**cfg.model_dump())
        cfg_path = context.workspace.training_cfg(name)
        plan.add_cfg(cfg_path, cfg)
        tasks.append(_task(context, plan, name, cfg_path, cfg))
    plan_arrays(
        plan,
        context,
        train,
        context.workspace.training_jobs,
        {BATCH: tasks},
        settings=_job_settings(context, variants, path, plan),
    )
    suggest_tasks(plan, context, "train", [])
    return plan


def _corpus_defaults(recipe: str) -> dict[str, Any]:
    """Return the recipe and what suits it, written out: a cfg is to mean the same tomorrow."""
    return {"recipe": recipe, **RECIPE_DEFAULTS.get(recipe, {})}


def _source(context: Context, plan: Plan, variant: TrainVariant, data_root: Path) -> dict[str, Any]:
    """Return the cfg keys that name what a variant learns from."""
    if variant.corpus is None:
        dataset = data_root / str(variant.dataset)
        if not dataset.name.startswith((_PREFIX, "..")) and not (dataset / "train.csv").is_file():
            named = dataset.with_name(_PREFIX + dataset.name)  # by its strategy alone
            dataset = named if named.is_dir() or not dataset.is_dir() else dataset
        if not dataset.is_dir():
            plan.warn(f"{dataset}: no such folder yet; hum-trainer prepare writes it")
        return {"data_dir": context.value(dataset, plan)}
    places = [data_root / variant.corpus, *([data_root] if data_root.name == variant.corpus else [])]
    places += [context.workspace.resolve(variant.corpus), context.workspace.data / variant.corpus]
    corpus = next((place for place in places if place.is_dir()), places[0])
    index = corpus / CORPUS_INDEX
    if not index.is_file():
        plan.warn(f"{index}: no such file yet; hum-trainer index-corpus writes it")
    return {"corpus_index": context.value(index, plan)}


def _task(context: Context, plan: Plan, name: str, cfg_path: Path, cfg: TrainingCfg) -> Task:
    cfg_text = context.value(cfg_path, plan)
    corpus = None if cfg.corpus_index is None else str(PurePosixPath(cfg.corpus_index).parent)
    read = [text for text in (cfg.data_dir, corpus, cfg.noise_dir) if text is not None]
    written = [f"{cfg.model_dir}/{MODEL_FILE}"]
    kept = [text for text in (cfg.checkpoint_dir, cfg.log_dir, cfg.summary_dir, cfg.cache_dir) if text is not None]
    if cfg.recipe != "clips":
        kept.append((PurePosixPath(cfg.model_dir).parent / "out_of_tape").as_posix())  # scores of its own tapes
    for text in read + written + kept:
        context.workspace.resolve(text)  # an unknown root is found now and not in the job
    return Task(name, command=["hum-trainer", "run", cfg_text], inputs=[cfg_text, *read], outputs=written, state=kept)


def _refuse_unknown_keys(variants: TrainVariants, path: Path) -> None:
    parts = {"globals": variants.globals.overrides}
    parts |= {f"variants.{name}": variant.overrides for name, variant in variants.variants.items()}
    for part, overrides in parts.items():
        for key in overrides:
            if key in _OURS:
                raise CfgError(f"{path}: {part}.{key}: is set by hum-slurm training itself. Remove it.")
            if key not in _KEYS:
                raise CfgError(f"{path}: {part}: unknown key {key!r}{nearest_key(key, _KEYS)}")


def _data_root(context: Context, flag: str | None, variants: TrainVariants) -> Path:
    settings = context.settings
    setting = variants.globals.data_root or settings.data_root or settings.training_corpus
    return context.given(flag, setting) or context.workspace.data


def _chosen_variants(variants: TrainVariants, data_root: Path, path: Path) -> Mapping[str, TrainVariant]:
    named = dict(variants.variants) or _variant_per_dataset(data_root)
    for name in named:
        if Path(name).name != name or name in ("", ".."):
            raise CfgError(f"{path}: variants.{name}: a variant's name is a folder's name; / cannot stand in it")
    active = variants.active_variants
    if active is None:
        return named
    unknown = [name for name in active if name not in named]
    if unknown:
        raise CfgError(f"{path}: active_variants names {', '.join(unknown)}; there are {', '.join(named)}")
    if not active:
        raise CfgError(f"{path}: active_variants is empty; name at least one of {', '.join(named)}, or remove the key")
    return {name: variant for name, variant in named.items() if name in active}


def _variant_per_dataset(data_root: Path) -> dict[str, TrainVariant]:
    folders = sorted(folder.name for folder in data_root.glob(f"{_PREFIX}*/"))
    if not folders:
        raise InputError(
            f"{data_root}: no {_PREFIX}* folder, and the variant file names no variants. "
            "Run hum-trainer prepare first, or name the right folder with --data-root."
        )
    return {
        f"v{number}_{folder.removeprefix(_PREFIX)}": TrainVariant(dataset=folder)
        for number, folder in enumerate(folders, start=1)
    }


def _job_settings(context: Context, variants: TrainVariants, path: Path, plan: Plan) -> JobSettings:
    """Return what training jobs ask for: the site's values, and the variant file's where the site has none."""
    wishes = validate(SlurmWishes, variants.globals.slurm, f"{path}: globals.slurm").as_job_settings()
    site = context.site.job("train")
    used = {}
    for key, wish in wishes.items():
        value = getattr(site, key)
        if value is None or is_placeholder(value):
            used[key] = wish
        elif value != wish:
            plan.warn(f"{path}: globals.slurm wants {key} {wish}, site {context.site.name} says {value}, which is used")
    return validate(JobSettings, {**site.model_dump(), **used}, f"{path}: globals.slurm")
