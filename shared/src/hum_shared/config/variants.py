"""The three variant files: dataset strategies, training variants, benchmark variants."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from hum_shared.config.cfg import validate
from hum_shared.errors import CfgError
from hum_shared.files import read_json

SplitStrategy = Literal[
    "random", "quality_balanced", "clipwise_balanced", "quality_and_clipwise_balanced", "proportional_by_tape"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- dataset_prep_configs.json ---------------------------------------------------------------------------


class NoiseMining(_Part):
    """Where noise clips come from."""

    margin_s: float = Field(0.1, ge=0, description="distance kept from every hum, s")
    fallback_raw: bool = Field(True, description="look in the raw recording when the clip has no room")


class DatasetStrategy(_Part):
    """How one `dataset_<name>/` is made."""

    split_strategy: SplitStrategy
    seed: int = Field(ge=0)
    min_quality: int = Field(1, ge=0, description="hums below this quality are not targets")
    noise_per_hum: float = Field(1, ge=0, description="noise clips per hum; the fraction is a probability")
    noise_mining: NoiseMining = NoiseMining()


class DatasetPrepConfig(_Part):
    """`dataset_prep_configs.json`."""

    active_strategies: list[str]
    strategies: dict[str, DatasetStrategy]

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = [name for name in self.active_strategies if name not in self.strategies]
        if unknown:
            raise ValueError(f"active_strategies names {', '.join(unknown)}; defined: {', '.join(self.strategies)}")
        return self


def read_dataset_prep(path: Path) -> DatasetPrepConfig:
    """Read `dataset_prep_configs.json`."""
    return validate(DatasetPrepConfig, read_json(path), path)


# --- train_variants.json ---------------------------------------------------------------------------------


class TrainVariant(_Part):
    """One named training variant: a dataset or a corpus to learn from, and what differs from the globals."""

    model_config = ConfigDict(frozen=True, extra="allow")

    dataset: str | None = Field(
        None, description="recipe clips: dataset folder below data_root, with or without dataset_"
    )
    corpus: str | None = Field(
        None, description="recipes windows and frames: corpus folder below data_root, the workspace or {data}"
    )

    @property
    def overrides(self) -> dict[str, Any]:
        """Training cfg keys given for this variant."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset is None) == (self.corpus is None):
            raise ValueError("name either a dataset (recipe clips) or a corpus (recipes windows and frames)")
        return self


class TrainGlobals(_Part):
    """Values that all training variants share: folders, Slurm wishes and training cfg keys."""

    model_config = ConfigDict(frozen=True, extra="allow")

    src_dir: str | None = Field(None, description="ignored")
    data_root: str | None = Field(None, description="folder of the dataset_* folders")
    runs_root: str | None = Field(None, description="holds models/<variant>/; unset: TRAINING/runs")
    slurm: dict[str, Any] = Field(default_factory=dict, description="a site file's values win over these")

    @property
    def overrides(self) -> dict[str, Any]:
        """Training cfg keys given for all variants."""
        return dict(self.model_extra or {})


class TrainVariants(_Part):
    """`train_variants.json`."""

    globals: TrainGlobals = TrainGlobals()
    variants: dict[str, TrainVariant] = Field(default_factory=dict)
    active_variants: list[str] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = [name for name in self.active_variants or [] if self.variants and name not in self.variants]
        if unknown:
            raise ValueError(f"active_variants names {', '.join(unknown)}; defined: {', '.join(self.variants)}")
        return self


def read_train_variants(path: Path) -> TrainVariants:
    """Read `train_variants.json`."""
    return validate(TrainVariants, read_json(path), path)


# --- benchmark_variants.json -----------------------------------------------------------------------------


class BenchmarkVariant(_Part):
    """One way to score and decode: window, hop, threshold, decoder and its settings."""

    model_config = ConfigDict(frozen=True, extra="allow")

    seq_len: float = Field(gt=0, description="window, s")
    hop: float = Field(gt=0, description="step, s")
    threshold: float = Field(ge=0, le=1)
    decoder: str = "union"
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9]+$", description="told apart in the tag of other decoders")

    @model_validator(mode="before")
    @classmethod
    def _no_misspelt_key(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            others = [key for key in value if key not in cls.model_fields]
            for missing in ("seq_len", "hop", "threshold"):
                if missing not in value and (near := difflib.get_close_matches(missing, others, 1)):
                    raise ValueError(f"unknown key {near[0]!r}; did you mean {missing!r}?")
        return value

    @property
    def decoder_settings(self) -> dict[str, Any]:
        """Keys of eval.cfg given for this variant: settings of the decoder, and what else differs."""
        return dict(self.model_extra or {})

    @property
    def sequence_ms(self) -> int:
        """Window in whole milliseconds."""
        return round(self.seq_len * 1000)

    @property
    def hop_ms(self) -> int:
        """Step in whole milliseconds."""
        return round(self.hop * 1000)

    @property
    def tag(self) -> str:
        """The variant's folder name, for example `len400_hop050_th90`."""
        tag = f"len{self.sequence_ms:03d}_hop{self.hop_ms:03d}_th{round(self.threshold * 100):02d}"
        if self.decoder == "union":
            return tag
        return f"{tag}_{self.decoder}" + (f"-{self.name}" if self.name else "")

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.hop > self.seq_len:
            raise ValueError(f"hop {self.hop:g} s is longer than seq_len {self.seq_len:g} s; windows would leave gaps")
        told = (self.sequence_ms / 1000, self.hop_ms / 1000, round(self.threshold * 100) / 100)
        for key, value, tag_value in zip(("seq_len", "hop", "threshold"), self._numbers(), told, strict=True):
            if abs(value - tag_value) > 1e-9:
                raise ValueError(f"{key} {value:g} is finer than the tag {self.tag} can tell; use {tag_value:g}")
        return self

    def _numbers(self) -> tuple[float, float, float]:
        return self.seq_len, self.hop, self.threshold


def read_benchmark_variants(path: Path) -> list[BenchmarkVariant]:
    """Read `benchmark_variants.json`.

    Raises
    ------
    CfgError
        When a rule is broken, the list is empty, or two variants have one tag.
    """
    try:
        variants = TypeAdapter(list[BenchmarkVariant]).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise CfgError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    if not variants:
        raise CfgError(f"{path}: no variants; add at least one {{seq_len, hop, threshold}}")
    seen: dict[str, int] = {}
    for position, variant in enumerate(variants):
        if variant.tag in seen:
            raise CfgError(f"{path}: variants {seen[variant.tag]} and {position} share the tag {variant.tag}")
        seen[variant.tag] = position
    return variants
