"""The dense network: a spectrogram of any length to class scores for every frame, in one pass.

Convolutions over time and frequency that halve the frequency axis and leave time alone, then dilated residual
convolutions over time (Yu & Koltun 2016; van den Oord et al. 2016) whose reach is set by the calls. Members of an
ensemble share nothing but the input; their logits are averaged.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_STEM_REACH = 4  # frames on either side that the four 3×3 convolutions see


class PairMaximum(nn.Module):
    """Halves the frequency axis of (N, C, …): the larger of every two bins; an odd last one stays.

    Parameters
    ----------
    axis
        Which one frequency is: 3, or 2.
    """

    def __init__(self, axis: int = 3) -> None:
        super().__init__()
        self._axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, F) to (N, C, T, ⌈F / 2⌉), or (N, C, F, T) to (N, C, ⌈F / 2⌉, T)."""
        if torch.is_grad_enabled():
            return nn.functional.max_pool2d(x, (1, 2) if self._axis == 3 else (2, 1), ceil_mode=True)
        # The same without the positions that only gradients need: on CPUs these take longer than the convolutions.
        n = x.shape[self._axis]
        bins = x.movedim(self._axis, 0)
        pairs = torch.maximum(bins[: n - 1 : 2], bins[1::2]).movedim(0, self._axis)
        return pairs if n % 2 == 0 else torch.cat((pairs, x.narrow(self._axis, n - 1, 1)), dim=self._axis)


class DenseMember(nn.Module):
    """One network.

    Parameters
    ----------
    n_freq_bins
        Frequency bins of the input.
    channels
        Channels of the four convolutions over time and frequency; the frequency axis is halved between them.
    width
        Channels of the convolutions over time.
    dilations
        One residual convolution over time for each.
    num_classes
        Two or more.
    dropout
        Share of channels dropped in training.
    """

    def __init__(
        self,
        n_freq_bins: int,
        channels: Sequence[int],
        width: int,
        dilations: Sequence[int],
        num_classes: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        previous, bins = 1, n_freq_bins
        for index, current in enumerate(channels):
            stem += [
                nn.Conv2d(previous, current, 3, padding=1, bias=False),
                nn.BatchNorm2d(current),
                nn.ReLU(inplace=True),
            ]
            if index < len(channels) - 1:
                stem.append(PairMaximum())
                bins = math.ceil(bins / 2)
            previous = current
        self.stem = nn.Sequential(*stem)
        self.stem_channels = previous
        self.collapse = nn.Sequential(
            nn.Conv1d(previous * bins, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)
        )
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(inplace=True),
                nn.Dropout1d(dropout),
            )
            for dilation in dilations
        )
        self.head = nn.Conv1d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, T, F) to logits (N, T, classes)."""
        y = self.stem(x.unsqueeze(1))  # (N, C, T, F')
        y = self.collapse(y.permute(0, 1, 3, 2).flatten(1, 2))
        for layer in self.context:
            y = y + layer(y)
        out: Tensor = self.head(y).transpose(1, 2)
        return out


class DenseNetwork(nn.Module):
    """An ensemble of :class:`DenseMember`; one member is an ensemble too.

    Attributes
    ----------
    opts
        What the model file's `encoderOpts` hold.
    reach
        Frames on either side that a frame's score depends on.
    """

    def __init__(
        self,
        *,
        members: int,
        n_freq_bins: int,
        channels: Sequence[int],
        width: int,
        dilations: Sequence[int],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            DenseMember(n_freq_bins, channels, width, dilations, num_classes) for _ in range(members)
        )
        self.opts = {"members": members, "channels": list(channels), "width": width, "dilations": list(dilations)}
        self.reach = _STEM_REACH + sum(dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, T, F) to logits (N, T, classes)."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


def folded(network: DenseNetwork) -> DenseNetwork:
    """Return a copy for scoring, batch normalisation folded into the convolutions before it: the same but faster."""
    out = copy.deepcopy(network).eval()
    for block in [module for module in out.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 1):
            layer, norm = block[index], block[index + 1]
            if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                block[index], block[index + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return out


def dilations_for(context_frames: float) -> list[int]:
    """Return dilations 1, 2, 4, … that together with the stem see `context_frames` frames around each frame."""
    dilations = [1]
    while _STEM_REACH + sum(dilations) < context_frames / 2:
        dilations.append(dilations[-1] * 2)
    return dilations
