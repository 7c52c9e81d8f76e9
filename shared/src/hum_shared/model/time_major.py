"""The dense network as CPUs compute it fastest: frames as rows, convolutions over time as matrix products.

The first convolutions, over time and frequency, see their maps the other way round, frequency by time: inner loops
are as long as the chunk then, and bins to compare lie in one piece. For inference alone, in float32. Results differ
from those of the network as it stands in the file by rounding only.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hum_shared.model.dense import DenseMember, DenseNetwork, PairMaximum, folded
from hum_shared.model.products import add_product_, product


class TimeMajorNetwork(nn.Module):
    """What stands for a :class:`DenseNetwork`; weights are copied.

    Parameters
    ----------
    network
        In float32, on the CPU.
    """

    def __init__(self, network: DenseNetwork) -> None:
        super().__init__()
        members = [member for member in folded(network).members if isinstance(member, DenseMember)]
        self.members = nn.ModuleList(_TimeMajorMember(member) for member in members)

    def forward(self, x: Tensor) -> Tensor:
        """Map one spectrogram (1, T, F) to logits (1, T, classes)."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


class _TimeMajorMember(nn.Module):
    def __init__(self, member: DenseMember) -> None:
        super().__init__()
        self.stem = _turned(member.stem)
        collapse = _conv_of(member.collapse)
        # The stem leaves a frame's values bin by bin; the weights have them channel by channel.
        width, inputs, _ = collapse.weight.shape
        weight = collapse.weight.view(width, member.stem_channels, inputs // member.stem_channels, 1)
        weight = weight.transpose(1, 2).flatten(1, 2)
        self.collapse = _TimeConv(collapse, weight)
        self.context = nn.ModuleList(_TimeConv(conv, conv.weight) for conv in map(_conv_of, member.context))
        self.head = _TimeConv(member.head, member.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x.transpose(1, 2).unsqueeze(1))[0].permute(2, 1, 0).flatten(1)  # (T, F' · C)
        y = self.collapse(y).relu_()
        for layer in self.context:
            y.add_(layer(y).relu_())
        out: Tensor = self.head(y)
        return out.unsqueeze(0)


def _turned(stem: nn.Sequential) -> nn.Sequential:
    """Return the stem for maps (N, C, F, T): weights turned likewise, and half as much to rectify."""
    layers: list[nn.Module] = []
    for layer in stem:
        if isinstance(layer, nn.Conv2d):
            layer = copy.deepcopy(layer)
            layer.weight = nn.Parameter(layer.weight.detach().transpose(2, 3), requires_grad=False)
        if isinstance(layer, PairMaximum):
            layers.insert(-1, PairMaximum(axis=2))  # the larger of two, rectified, is the larger of two rectified ones
        elif not isinstance(layer, nn.Identity):
            layers.append(layer)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[no-any-return,call-overload]


class _TimeConv(nn.Module):
    """A convolution over time with one or three taps, on rows (T, in) instead of (N, in, T)."""

    taps: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv1d, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("taps", weight.detach().permute(2, 1, 0).contiguous())
        assert conv.bias is not None
        self.register_buffer("bias", conv.bias.detach().clone())
        self._dilation = conv.dilation[0]

    def forward(self, x: Tensor) -> Tensor:
        out = product(x, self.taps[len(self.taps) // 2], self.bias)
        if len(self.taps) == 3 and len(x) > self._dilation:
            add_product_(out[self._dilation :], x[: -self._dilation], self.taps[0])
            add_product_(out[: -self._dilation], x[self._dilation :], self.taps[2])
        return out


def _conv_of(block: nn.Module) -> nn.Conv1d:
    assert isinstance(block, nn.Sequential)
    conv = block[0]
    assert isinstance(conv, nn.Conv1d)
    return conv
