"""3×3 convolutions as matrix products, one for each of the three taps in time, where that trains faster.

The last stages of a ResNet have millions of weights and see short windows as a few rows. General convolutions spend
more time there on arranging weights than on products, most of all for the gradient of the weights; here the weights
lie as the products want them. And where a map has one or two rows, up to six of nine weights multiply nothing but
padding: they get no gradient, and yet would be read, cleared and stepped over in every batch. They are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hum_shared.model.network import Network, input_shapes
from hum_shared.model.products import add_product_

_FEWEST_CHANNELS = 512  # on CPUs; with fewer, general convolutions are as fast: "The epoch" in benchmarks/README.md


@dataclass(frozen=True)
class _Tap:
    """What one tap in time multiplies: rows of the input, in their :func:`_row_order`, for which rows of the output."""

    number: int
    source: slice
    target: slice


class TapConv2d(nn.Module):
    """Stands for a 3×3 convolution with padding 1 on inputs of a known number of rows.

    Its state dict is that of the convolution; weights that meet padding alone stay in it as they were, whatever the
    optimizer's weight decay.

    Parameters
    ----------
    conv
        What it stands for, with stride 1 or 2 and without bias.
    rows
        Of the input.
    """

    weight: nn.Parameter

    def __init__(self, conv: nn.Conv2d, rows: int) -> None:
        super().__init__()
        if not _is_eligible(conv):
            raise ValueError(f"no 3×3 convolution with padding 1, stride 1 or 2 and no bias: {conv}")
        self.stride, self.rows = conv.stride[0], rows
        self._taps = _taps(rows, self.stride)
        self._live = sorted(tap.number for tap in self._taps)
        self._whole = conv.weight.detach().clone()
        self.weight = nn.Parameter(self.live(self._whole))  # (taps, 3 · in, out), as the products want it

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, rows, F) to (N, out, rows', F')."""
        if x.shape[2] != self.rows:
            raise ValueError(f"made for inputs of {self.rows} rows, got {x.shape[2]}")
        weight: Tensor = self.weight
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        out: Tensor = _TapProducts.apply(x, weight, self)  # type: ignore[no-untyped-call]
        return out

    def live(self, whole: Tensor) -> Tensor:
        """Return, of weights (out, in, 3, 3) or what belongs to them, what the input meets, (taps, 3 · in, out)."""
        return whole[:, :, self._live].permute(2, 3, 1, 0).flatten(1, 2).contiguous()

    def whole(self) -> Tensor:
        """Return the weights of the convolution it stands for, (out, in, 3, 3)."""
        return self.spread(self.weight.detach(), self._whole.to(self.weight, copy=True))

    def spread(self, live: Tensor, whole: Tensor) -> Tensor:
        """Put what :meth:`live` returns where it was in `whole`, (out, in, 3, 3); return that."""
        whole[:, :, self._live] = live.view(len(live), 3, -1, len(whole)).permute(3, 2, 0, 1)
        return whole

    def products(self, x: Tensor, weight: Tensor) -> Tensor:
        """Compute the output, (N, out, rows', F'), channels last in memory."""
        columns = _columns(x, self.stride)
        n_rows, n_bins = (_strided(size, self.stride) for size in x.shape[2:])
        out = x.new_empty(n_rows, columns.shape[1], weight.shape[2])
        for order, tap in enumerate(self._taps):
            source, target = columns[tap.source].flatten(0, 1), out[tap.target].flatten(0, 1)
            add_product_(target, source, self._of(weight, tap), fresh=order == 0)  # the first reaches every row
        return out.view(n_rows, len(x), n_bins, out.shape[2]).permute(1, 0, 2, 3).contiguous().permute(0, 3, 1, 2)

    def input_gradient(self, x: Tensor, weight: Tensor, pull: Tensor) -> Tensor:
        """Compute the gradient of the input from that of the output, (rows', N · F', out)."""
        n, channels, rows, bins = x.shape
        columns = pull.new_empty(rows, pull.shape[1], 3 * channels)
        written = 0
        for tap in self._taps:
            target = columns[tap.source].flatten(0, 1)
            known = tap.source.start < written  # by a tap before
            add_product_(target, pull[tap.target].flatten(0, 1), self._of(weight, tap).t(), fresh=not known)
            written = max(written, tap.source.stop)
        by_tap = columns.view(rows, n, _strided(bins, self.stride), 3, channels)
        padded = pull.new_zeros(rows, n, bins + 2, channels)
        for number in range(3):
            padded[:, :, _met(number, bins, self.stride)] += by_tap[:, :, :, number]
        gradient = x.new_empty(n, rows, bins, channels)
        gradient[:, _row_order(rows, self.stride)] = padded[:, :, 1:-1].transpose(0, 1)
        return gradient.permute(0, 3, 1, 2)

    def weight_gradient(self, x: Tensor, pull: Tensor) -> Tensor:
        """Compute the gradient of the weights, (taps, 3 · in, out), from that of the output, (rows', N · F', out)."""
        columns = _columns(x, self.stride)
        gradient = pull.new_empty(len(self._live), columns.shape[2], pull.shape[2])
        for tap in self._taps:
            source, target = columns[tap.source].flatten(0, 1), pull[tap.target].flatten(0, 1)
            add_product_(self._of(gradient, tap), source.t(), target, fresh=True)
        return gradient

    def _of(self, weight: Tensor, tap: _Tap) -> Tensor:
        return weight[self._live.index(tap.number)]

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


class _TapProducts(torch.autograd.Function):
    """The products of a :class:`TapConv2d`, with gradients of its own: torch would copy the weights for each tap."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, conv: TapConv2d) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.conv = conv
        return conv.products(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        rows = pull.permute(2, 0, 3, 1).flatten(1, 2).contiguous()
        of_x = ctx.conv.input_gradient(x, weight, rows) if ctx.needs_input_grad[0] else None
        of_weight = ctx.conv.weight_gradient(x, rows) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None


def use_tap_convs(network: Network, rows: int, bins: int, device: torch.device) -> None:
    """Replace, in place, the convolutions of a network that train faster as products of taps.

    Parameters
    ----------
    rows, bins
        Of the windows it is to be trained on.
    device
        That it is to be trained on.
    """
    for name, shape in input_shapes(network.encoder, rows, bins).items():
        conv = network.encoder.get_submodule(name)
        if isinstance(conv, nn.Conv2d) and _is_eligible(conv) and _pays(conv, shape[2], device):
            network.encoder.set_submodule(name, TapConv2d(conv, shape[2]))


def with_plain_convs(network: Network) -> Network:
    """Return a copy of a network in which every convolution is one, as it stands in a model file."""
    network = copy.deepcopy(network)
    for name, part in list(network.named_modules()):
        if isinstance(part, TapConv2d):
            whole = part.whole()
            conv = nn.Conv2d(whole.shape[1], len(whole), 3, part.stride, 1, bias=False, device="meta")
            conv.weight = nn.Parameter(whole, requires_grad=part.weight.requires_grad)
            network.set_submodule(name, conv.train(part.training))
    return network


def plain_optimizer_state(state: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    """Return the state of an optimizer as that of the network with plain convolutions, 0 for weights without gradient.

    Parameters
    ----------
    state
        What ``state_dict()`` of an Adam of `network` gave.
    """

    def plain(value: Tensor, owner: TapConv2d) -> Tensor:
        if value.shape != owner.weight.shape:
            return value
        _, columns, out = value.shape
        return owner.spread(value, value.new_zeros(out, columns // 3, 3, 3))

    return _with_moments(state, network, plain)


def fitting_optimizer_state(state: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    """Return the state of an optimizer of `network` from that of the network with plain convolutions.

    Parameters
    ----------
    state
        What :func:`plain_optimizer_state` gave. Earlier versions wrote the moments of convolutions with a single row of
        output as (out, 3 · rows · in), taps along frequency first.
    """

    def fitting(value: Tensor, owner: TapConv2d) -> Tensor:
        if value.dim() == 4:
            return owner.live(value)
        if value.dim() == 2:
            taps, columns, out = owner.weight.shape
            return value.view(out, 3, taps, columns // 3).permute(2, 1, 3, 0).flatten(1, 2).contiguous()
        return value

    return _with_moments(state, network, fitting)


def _with_moments(
    state: Mapping[str, Any], network: nn.Module, changed: Callable[[Tensor, TapConv2d], Tensor]
) -> dict[str, Any]:
    """Return an optimizer's state with what it holds of tap convolutions changed."""
    owners = [module for module in network.modules() for _ in module.parameters(recurse=False)]
    moments = dict(state["state"])
    for index, owner in enumerate(owners):
        if isinstance(owner, TapConv2d) and index in moments:
            moments[index] = {name: changed(value, owner) for name, value in moments[index].items()}
    return {**state, "state": moments}


def _is_eligible(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == (3, 3) and conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    return plain and conv.bias is None and conv.stride in ((1, 1), (2, 2))


def _pays(conv: nn.Conv2d, rows: int, device: torch.device) -> bool:
    if rows <= conv.stride[0]:  # one row of output: weights are left out
        return True
    return device.type == "cpu" and conv.out_channels >= _FEWEST_CHANNELS


def _strided(n: int, stride: int) -> int:
    return (n - 1) // stride + 1


def _row_order(rows: int, stride: int) -> list[int]:
    """Return the input's rows in the order in which every tap's are consecutive: with stride 2 even ones, then odd."""
    return [row for start in range(stride) for row in range(start, rows, stride)]


def _taps(rows: int, stride: int) -> tuple[_Tap, ...]:
    """Return the taps that meet an input of `rows` rows.

    The middle one comes first: it reaches every row of the output. Whatever row of the input a tap reaches, the taps
    before it reach all rows of that tap, or none.
    """
    n_out = _strided(rows, stride)
    if stride == 1:
        found = [(1, 0, 0, rows), (2, 1, 0, rows - 1), (0, 0, 1, rows - 1)]
    else:  # behind the n_out even rows come the odd ones
        found = [(1, 0, 0, n_out), (2, n_out, 0, rows - n_out), (0, n_out, 1, n_out - 1)]
    return tuple(
        _Tap(number, slice(source, source + count), slice(target, target + count))
        for number, source, target, count in found
        if count > 0
    )


def _columns(x: Tensor, stride: int) -> Tensor:
    """Return what the three taps along frequency see, (rows, N · F', 3 · in), rows in their order."""
    rows, bins = x.shape[2:]
    ordered = x.permute(2, 0, 3, 1)
    if stride > 1:
        ordered = ordered[_row_order(rows, stride)]
    padded = nn.functional.pad(ordered, (0, 0, 1, 1))
    return torch.cat([padded[:, :, _met(tap, bins, stride)] for tap in range(3)], dim=3).flatten(1, 2)


def _met(tap: int, bins: int, stride: int) -> slice:
    """Return the bins, of `bins` and one of padding at either end, that a tap along frequency meets."""
    return slice(tap, tap + (bins - 1) // stride * stride + 1, stride)
