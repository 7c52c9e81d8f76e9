"""An exponential moving average of a network's weights, which validates better than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AveragedNetwork:
    """Keeps the average of a network in training (Polyak & Juditsky 1992; as in Tarvainen & Valpola 2017).

    Parameters
    ----------
    network
        The network; the average starts as it is.
    decay
        Share of the average kept at a step; the first steps keep less, (1 + n) / (10 + n), so that the average
        does not remember the untrained weights. 0 follows the network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take one step of the network into the average; counters of its layers are copied."""
        kept = min(self._decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for own, new in zip(_numbers(self.network), _numbers(network), strict=True):
            if own.is_floating_point():
                own.lerp_(new, 1 - kept)
            else:
                own.copy_(new)


def _numbers(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
