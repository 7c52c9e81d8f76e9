"""Convolutions whose output has a single row, as one matrix product that leaves out weights that meet padding alone.

The last stages of a ResNet see short windows as one or two rows. Where the output of a 3×3 convolution has a single
row, six of its nine weights multiply nothing but padding if the input has one, too, three if it has two: they get no
gradient, and yet are read, cleared and stepped over in every batch. With ResNet-18, `max_pool` 1 and 17 rows that is
5.1 of 11.2 million weights; with `max_pool` 2 and as many rows there is none.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hum_shared.model.network import Network, input_shapes


class OneRowConv2d(nn.Module):
    """Stands for a 3×3 convolution with padding 1 while its input has so few rows that its output has one.

    Its state dict is that of the convolution; weights that meet padding alone stay in it as they were, whatever the
    optimizer's weight decay.

    Parameters
    ----------
    conv
        What it stands for.
    rows
        Of the input: 1, or 2 with stride 2.
    """

    weight: nn.Parameter

    def __init__(self, conv: nn.Conv2d, rows: int) -> None:
        super().__init__()
        if not _is_eligible(conv, rows):
            raise ValueError(f"no 3×3 convolution from {rows} rows to one: {conv}")
        self.stride, self.rows = conv.stride[0], rows
        self._whole = conv.weight.detach().clone()
        self.weight = nn.Parameter(self.live(self._whole))  # (out, 3 · rows · in), as the products want it

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, rows, F) to (N, out, 1, F')."""
        rows, columns = x.shape[2:]
        if rows != self.rows:
            raise ValueError(f"made for inputs of {self.rows} rows, got {rows}")
        padded = nn.functional.pad(x.permute(0, 3, 2, 1).flatten(2), (0, 0, 1, 1))  # (N, F + 2, rows · in)
        span = (columns - 1) // self.stride * self.stride + 1
        taps = [padded[:, tap : tap + span : self.stride] for tap in range(3)]  # each (N, F', rows · in)
        out = nn.functional.linear(torch.cat(taps, dim=2), self.weight)
        return out.unsqueeze(2).permute(0, 3, 2, 1)

    def live(self, whole: Tensor) -> Tensor:
        """Return, of weights (out, in, 3, 3) or what belongs to them, what the input meets, (out, 3 · rows · in)."""
        return whole[:, :, 1 : 1 + self.rows].permute(0, 3, 2, 1).flatten(1).contiguous()

    def whole(self) -> Tensor:
        """Return the weights of the convolution it stands for, (out, in, 3, 3)."""
        whole = self._whole.to(self.weight, copy=True)
        live = self.weight.detach().view(len(whole), 3, self.rows, -1)
        whole[:, :, 1 : 1 + self.rows] = live.permute(0, 3, 2, 1)
        return whole

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.whole()

    @torch.no_grad()
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        metadata: object,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        name = f"{prefix}weight"
        if name not in state_dict:
            missing.append(name)
        elif state_dict[name].shape != self._whole.shape:
            errors.append(f"{name}: shape {tuple(state_dict[name].shape)} instead of {tuple(self._whole.shape)}")
        else:
            self._whole = state_dict[name].detach().clone()
            self.weight.copy_(self.live(self._whole))


def use_one_row_convs(network: Network, rows: int, bins: int) -> None:
    """Replace, in place, the convolutions of a network whose output has a single row.

    Parameters
    ----------
    rows, bins
        Of the windows it is to be trained on.
    """
    for name, shape in input_shapes(network.encoder, rows, bins).items():
        conv = network.encoder.get_submodule(name)
        if isinstance(conv, nn.Conv2d) and _is_eligible(conv, shape[2]):
            network.encoder.set_submodule(name, OneRowConv2d(conv, shape[2]))


def with_plain_convs(network: Network) -> Network:
    """Return a copy of a network in which every convolution is one, as it stands in a model file."""
    network = copy.deepcopy(network)
    for name, part in list(network.named_modules()):
        if isinstance(part, OneRowConv2d):
            whole = part.whole()
            conv = nn.Conv2d(whole.shape[1], len(whole), 3, part.stride, 1, bias=False, device="meta")
            conv.weight = nn.Parameter(whole, requires_grad=part.weight.requires_grad)
            network.set_submodule(name, conv.train(part.training))
    return network


def fitting_optimizer_state(state: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    """Return the state of an optimizer of `network`, also when it was written while the network had plain convolutions.

    Parameters
    ----------
    state
        What ``state_dict()`` of an Adam gave.
    """
    owners = [module for module in network.modules() for _ in module.parameters(recurse=False)]
    moments = dict(state["state"])
    for index, owner in enumerate(owners):
        if isinstance(owner, OneRowConv2d) and index in moments:
            moments[index] = {
                name: owner.live(value) if value.dim() == 4 else value for name, value in moments[index].items()
            }
    return {**state, "state": moments}


def _is_eligible(conv: nn.Conv2d, rows: int) -> bool:
    plain = conv.kernel_size == (3, 3) and conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    return plain and conv.bias is None and conv.stride in ((1, 1), (2, 2)) and rows <= conv.stride[0]
