"""Checkpoints as they were while every convolution in training was a plain one."""

from __future__ import annotations

from pathlib import Path

import torch

from hum_trainer.checkpoint import load_checkpoint, save_checkpoint


def make_plain(path: Path) -> int:
    """Give the optimizer's moments of one-row convolutions the shape of the plain ones; return how many there were."""
    state = load_checkpoint(path)
    weights = [value for name, value in state["network"].items() if name.endswith((".weight", ".bias"))]
    moments = state["optimizer"]["state"]
    assert len(weights) == len(moments)
    changed = 0
    for index, weight in enumerate(weights):
        for name, value in moments[index].items():
            if value.dim() == 2 and weight.dim() == 4:
                channels = weight.shape[1]
                live = value.view(len(value), 3, -1, channels).permute(0, 3, 2, 1)
                moments[index][name] = torch.zeros_like(weight)
                moments[index][name][:, :, 1 : 1 + live.shape[2]] = live
                changed += 1
    save_checkpoint(path, state)
    return changed
