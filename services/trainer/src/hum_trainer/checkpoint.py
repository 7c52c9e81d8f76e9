"""The resumable state of a training run: written atomically, read back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hum_shared.errors import InputError
from hum_shared.model.model_parts import torch_file

FILE_NAME = "checkpoint.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state atomically; equal states give equal bytes."""
    with torch_file(path) as file:
        torch.save(state, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a state back, tensors on the CPU.

    Raises
    ------
    InputError
        When the file is no checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler answers broken bytes with errors of any kind
        reason = type(error).__name__
        raise InputError(f"{path}: not a checkpoint ({reason}). Delete it or set start_from_scratch=true.") from None
    if not isinstance(state, dict):
        raise InputError(f"{path}: not a checkpoint. Delete it or set start_from_scratch=true.")
    return state
