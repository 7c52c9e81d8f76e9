"""Which models a benchmark covers: those that the training will write, and foreign ones that lie there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import TrainingCfg
from hum_shared.errors import InputError, ModelError
from hum_shared.files import read_json
from hum_shared.layout import Workspace, model_file
from hum_shared.manifest import read_manifest
from hum_shared.model.archive import is_torchscript

CARD_FILE = "model.json"


@dataclass(frozen=True)
class KnownModel:
    """A model, trained or still to be.

    Attributes
    ----------
    name
        Its folder's name.
    file
        The model file, as cfgs and manifests name it.
    sequence_ms, min_max_norm
        How it was or will be trained; None when neither a training cfg nor a card says.
    torchscript
        Whether the file is, or will be, TorchScript.
    corpus_index
        The ground truth of the recordings it is trained and validated on, where the training scores what its networks
        have not seen; else None.
    dense
        Whether it scores frames: windows and hops of variants then make no difference to its scores.
    """

    name: str
    file: str
    sequence_ms: int | None
    min_max_norm: bool | None
    torchscript: bool
    corpus_index: str | None = None
    dense: bool = False


def known_models(workspace: Workspace) -> list[KnownModel]:
    """Return every model known by name, sorted by name.

    These are the tasks of the training manifest and the folders below `TRAINING/runs/models` that hold a model.

    Raises
    ------
    InputError
        When there is none; when a folder holds several models and none has the usual name; when a training
        cfg, a card or the manifest cannot be read.
    """
    files: dict[str, str] = {}
    for folder in sorted(workspace.models_root.glob("*/")):
        if any(folder.glob("models/*.pk")) or any(folder.glob("models/*.pt")):
            files[folder.name] = workspace.relative(model_file(folder))
    manifest = workspace.training_jobs.manifest("train")
    if manifest.exists():
        files |= {row.task: row.outputs[0] for row in read_manifest(manifest)}
    if not files:
        raise InputError(
            f"{workspace.models_root}: no model, and no training manifest that promises one. "
            "Run hum-slurm training first, or put a model at <name>/models/ANIMAL-SPOT.pk there."
        )
    return [_known_model(workspace, name, file) for name, file in sorted(files.items())]


def _known_model(workspace: Workspace, name: str, file: str) -> KnownModel:
    path = workspace.resolve(file)
    cfg_path, card_path = workspace.training_cfg(name), path.with_name(CARD_FILE)
    # The training cfg goes first: the model that lies there may be about to be trained anew by it.
    truth: str | None = None
    min_max_norm: bool | None = None
    torchscript = is_torchscript(path)
    if cfg_path.is_file():
        cfg = read_cfg(cfg_path, TrainingCfg)
        truth = None if cfg.recipe == "clips" else cfg.corpus_index
        min_max_norm = cfg.normalisation_used == "min_max"
        torchscript = torchscript if path.is_file() else cfg.jit_save
        if cfg.recipe == "frames":
            return KnownModel(name, file, None, None, torchscript=False, corpus_index=truth, dense=True)
        if "sequence_len" not in cfg.left_to_data:
            return KnownModel(name, file, cfg.sequence_len, min_max_norm, torchscript, truth)
    options = _card_options(card_path) if card_path.is_file() else {}
    return KnownModel(
        name,
        file,
        options.get("sequence_len_ms"),
        options.get("min_max_norm") if min_max_norm is None else min_max_norm,
        torchscript,
        truth,
        dense="background_s" in options and "sequence_len_ms" not in options,
    )


def _card_options(path: Path) -> dict[str, Any]:
    card = read_json(path)
    options = card.get("data_opts") if isinstance(card, dict) else None
    if not isinstance(options, dict):
        raise ModelError(f"{path}: not a model card: no data_opts. Remove the file, or train the model again.")
    return options
