"""What every training run has, whatever its recipe: folders, a device, a checkpoint that may or may not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from hum_shared import layout
from hum_shared.card import ModelCard
from hum_shared.command import warn
from hum_shared.config.training import TrainingCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import InputError
from hum_shared.files import read_json, sha256_file
from hum_shared.model.device import choose_device, exact_float32, supports_bfloat16
from hum_trainer.checkpoint import FILE_NAME, load_checkpoint

CARD_FILE = "model.json"
PACKAGES = ("torch", "torchaudio", "numpy", "soundfile", "soxr")
"""Whose versions decide the numbers."""


@dataclass(frozen=True)
class RunFolders:
    """Where a run reads and writes; None where the cfg names nothing."""

    data: Path | None
    noise: Path | None
    cache: Path | None
    models: Path
    checkpoints: Path
    summaries: Path
    logs: Path

    @property
    def model(self) -> Path:
        """The model file."""
        return self.models / layout.MODEL_FILE

    @property
    def card(self) -> Path:
        """The model's card."""
        return self.models / CARD_FILE

    @property
    def out_of_tape(self) -> Path:
        """Score tracks of what its networks have not seen."""
        return self.models.parent / "out_of_tape"

    @property
    def checkpoint(self) -> Path:
        """The resumable state."""
        return self.checkpoints / FILE_NAME


def run_folders(cfg: TrainingCfg, cfg_path: Path) -> RunFolders:
    """Return the folders that a cfg names."""
    resolve = workspace_of(cfg_path).resolve
    models = resolve(cfg.model_dir)
    return RunFolders(
        data=resolve(cfg.data_dir) if cfg.data_dir else None,
        noise=resolve(cfg.noise_dir) if cfg.noise_dir else None,
        cache=resolve(cfg.cache_dir) if cfg.cache_dir else None,
        models=models,
        checkpoints=resolve(cfg.checkpoint_dir),
        summaries=resolve(cfg.summary_dir) if cfg.summary_dir else models.parent / "summaries",
        logs=resolve(cfg.log_dir) if cfg.log_dir else models.parent / "logs",
    )


def device_and_precision(cfg: TrainingCfg) -> tuple[torch.device, str]:
    """Return what a cfg trains on; bfloat16 becomes float32, with a warning, where the device lacks it.

    Sets torch up so that the same seed gives the same losses; on a GPU as far as its operations allow: the gradient of
    overlapping maxima (`max_pool=1`) is summed there in any order.
    """
    device = choose_device(cfg.device, no_cuda=cfg.no_cuda)
    precision: str = cfg.precision
    if precision == "bfloat16" and not supports_bfloat16(device):
        warn(f"precision=bfloat16: this {device.type} has no bfloat16 arithmetic; training in float32")
        precision = "float32"
    exact_float32()
    torch.backends.cudnn.deterministic = True
    return device, precision


def usable_checkpoint(
    path: Path, cfg: TrainingCfg, settings_sha256: str, has_ended: Callable[[dict[str, Any]], bool] = lambda _: False
) -> dict[str, Any] | None:
    """Return the state to go on from; None when there is none, or it belongs to other settings or data.

    Parameters
    ----------
    has_ended
        Whether the run that a state is of came to its end, with a model. With `start_from_scratch` such a state is
        passed over; one that was stopped on the way is not, or a job that is requeued would begin again for ever.
    """
    if not path.exists():
        return None
    try:
        state = load_checkpoint(path)
    except InputError:
        if cfg.start_from_scratch:
            return None
        raise
    if state.get("settings_sha256") != settings_sha256:
        if not cfg.start_from_scratch:
            warn(f"{path}: was made with other settings or data; training starts anew")
        return None
    return None if cfg.start_from_scratch and has_ended(state) else state


def is_complete(folders: RunFolders, settings_sha256: str, cfg: TrainingCfg) -> bool:
    """Whether model and card of these settings are there and belong together."""
    if not (folders.card.exists() and folders.model.exists()):
        return False
    try:
        card = ModelCard.model_validate(read_json(folders.card))
    except (InputError, ValidationError):
        return False  # not one of ours, or damaged: written anew from the checkpoint
    return (
        card.training_data.get("settings_sha256") == settings_sha256
        and card.training_cfg.get("max_train_epochs") == cfg.max_train_epochs
        and card.model_sha256 == sha256_file(folders.model)
    )


def is_all_that_is_left(folders: RunFolders, settings_sha256: str, cfg: TrainingCfg) -> bool:
    """Whether the model of these settings is there, and no checkpoint any more: they may be deleted to save room."""
    pattern = f"{folders.checkpoint.stem}*{folders.checkpoint.suffix}"
    return (
        not cfg.start_from_scratch
        and not any(folders.checkpoints.glob(pattern))
        and is_complete(folders, settings_sha256, cfg)
    )


def ended_with_model(folders: RunFolders, settings_sha256: str, cfg: TrainingCfg) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether the run that a state is of came to its end, and left the model of these settings."""
    return lambda state: bool(state["finished"]) and is_complete(folders, settings_sha256, cfg)
