"""Checkpoints as earlier versions wrote them: of convolutions with one row of output they held live moments alone."""

from __future__ import annotations

from pathlib import Path

import torch

from hum_trainer.checkpoint import load_checkpoint, save_checkpoint


def make_earlier(path: Path) -> int:
    """Give the optimizer's moments of such convolutions the shape (out, 3 · rows · in); return how many there were."""
    state = load_checkpoint(path)
    changed = 0
    for moments in state["optimizer"]["state"].values():
        squares = moments["exp_avg_sq"]
        if squares.dim() != 4 or squares.shape[2:] != (3, 3):
            continue
        live = [tap for tap in range(3) if torch.any(squares[:, :, tap] != 0)]
        if live in ([1], [1, 2]):  # the others met padding alone
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = moments[name][:, :, live].permute(0, 3, 2, 1).flatten(1)
                changed += 1
    save_checkpoint(path, state)
    return changed
