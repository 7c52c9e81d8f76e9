"""The card that lies beside every forest we write: what it needs, what it saw and how well it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_rf_filter.calibration import Calibration
from hum_rf_filter.importance import Importance
from hum_rf_filter.recommendation import Recommendation
from hum_shared.errors import ModelError
from hum_shared.files import read_json, write_json
from hum_shared.layout import forest_card
from hum_shared.provenance import Provenance


class TrainingRecording(BaseModel):
    """A recording whose selections or calls a forest was trained on or judged by."""

    model_config = ConfigDict(frozen=True)

    name: str
    tape: str
    sha256: str | None = Field(description="digest of the file; null where only a table was at hand")


class ForestCard(BaseModel):
    """`<forest>.card.json`."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    schema_version: int = 1
    model_file: str = Field(description="file name beside the card")
    model_sha256: str
    classes: dict[str, str] = Field(description="the forest's class → what it means")
    feature_names: list[str]
    medians: dict[str, float] = Field(description="feature → its median over the training rows")
    thresholds: dict[str, float] = Field(description="rule → threshold, chosen on out-of-fold predictions")
    metrics: dict[str, Any] = Field(description="part (out_of_fold, test) → measures")
    grouped_by: Literal["tape", "time block"] = Field(description="what folds and test rows never share")
    tapes: dict[str, list[str]] = Field(description="part (train, test) → tapes")
    n_rows: dict[str, int]
    data_sha256: str = Field(description="digest of the training table")
    inputs_sha256: str = Field(description="digest of inputs and settings: equal ones need no new training")
    stft: dict[str, int] = Field(description="n_fft and hop of the features")
    mfcc: dict[str, Any] = Field(description="n_mfcc and include_deltas of the features")
    training: dict[str, Any] = Field(description="trees, seed and the other settings of the training")
    provenance: Provenance
    # Older cards lack these.
    forest: str = Field("RandomForest", description="kind of the forest")
    comparison: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="kind → out-of-fold measures; the kind with the least log loss was taken"
    )
    calibration: Calibration | None = Field(None, description="how votes become probabilities; null: as they are")
    importance: dict[str, Importance] = Field(default_factory=dict, description="group of features → its weight")
    recommended: Recommendation | None = Field(None, description="the threshold to use; null: the card gives none")
    training_tapes: list[str] = Field(default_factory=list, description="tapes it was trained on or judged by")
    training_recordings: list[TrainingRecording] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list, description="what a user of the forest should know")


def read_card(forest: Path, model_sha256: str) -> ForestCard | None:
    """Read the card of a forest; None where there is none, as for forests from elsewhere.

    Raises
    ------
    ModelError
        When it is damaged, or the card of another forest.
    """
    path = forest_card(forest)
    if not path.exists():
        return None
    try:
        card = ForestCard.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise ModelError(f"{path}: not a forest's card: {where}: {first['msg']}") from None
    if card.model_sha256 != model_sha256:
        raise ModelError(
            f"{path}: belongs to another forest (SHA-256 {card.model_sha256}, but {forest.name} has {model_sha256}). "
            "Copy both files together, or remove the card."
        )
    return card


def write_card(forest: Path, card: ForestCard) -> None:
    """Write the card of a forest, atomically."""
    write_json(forest_card(forest), card.model_dump(mode="json"))
