"""The model card `model.json` that lies beside every model we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hum_shared.files import write_json
from hum_shared.provenance import Provenance


class ModelCard(BaseModel):
    """What a trained network is, what it saw and how well it did."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    schema_version: int = 1
    model_file: str = Field(description="file name beside the card")
    model_sha256: str
    encoder_opts: dict[str, Any]
    classifier_opts: dict[str, Any]
    data_opts: dict[str, Any]
    classes: dict[str, int]
    loads_in_original_programs: bool = Field(description="whether ANIMAL-SPOT and PAMGuard can use the file")
    metrics: dict[str, dict[str, float]] = Field(description="part (val, test) → measure → value")
    best_epoch: int
    n_epochs: int
    training_data: dict[str, Any] = Field(
        description="dataset folder, digest, clips per part and class, tapes per part"
    )
    training_cfg: dict[str, Any]
    seed: int
    provenance: Provenance


def write_card(path: Path, card: ModelCard) -> None:
    """Write a model card atomically."""
    write_json(path, card.model_dump(mode="json"))
