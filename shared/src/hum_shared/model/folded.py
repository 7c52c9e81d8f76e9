"""The encoder as CPUs compute it fastest: batch normalisation folded away, large convolutions by Winograd's way.

For inference alone. Results differ from those of the network as it stands in the file by rounding only.
"""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hum_shared.model.network import BasicBlock, Bottleneck, Encoder, input_shapes
from hum_shared.model.winograd import WinogradConv2d, is_eligible

_MIN_CHANNELS = 128  # with fewer, the transforms take the time that the products save: benchmarks/README.md
_MIN_COLUMNS = 3  # on narrower maps most of a tile is padding
_ANY_ROWS = 32


def folded(encoder: Encoder) -> Encoder:
    """Return a copy, in evaluation mode, whose convolutions do what batch normalisation did after them."""
    encoder = copy.deepcopy(encoder).eval()
    for module in list(encoder.modules()):
        if isinstance(module, Encoder | BasicBlock | Bottleneck):
            for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")):
                if hasattr(module, conv):
                    _fold(module, conv, norm)
        if isinstance(module, BasicBlock | Bottleneck) and len(module.shortcut):
            _fold(module.shortcut, "0", "1")
    return encoder


def with_winograd(encoder: Encoder, n_freq_bins: int) -> Encoder:
    """Replace those convolutions of a float32 encoder, in place, that Winograd's way makes faster; return it.

    Parameters
    ----------
    n_freq_bins
        Of the encoder's input.
    """
    for name, shape in input_shapes(encoder, _ANY_ROWS, n_freq_bins).items():
        conv = encoder.get_submodule(name)
        if isinstance(conv, nn.Conv2d) and is_eligible(conv) and _pays(channels=shape[1], columns=shape[3]):
            encoder.set_submodule(name, WinogradConv2d(conv))
    return encoder


def _pays(*, channels: int, columns: int) -> bool:
    return channels >= _MIN_CHANNELS and columns >= _MIN_COLUMNS


def _fold(parent: nn.Module, conv_name: str, norm_name: str) -> None:
    conv, norm = parent.get_submodule(conv_name), parent.get_submodule(norm_name)
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    # In float64, so that weights are rounded once.
    setattr(parent, conv_name, fuse_conv_bn_eval(conv.double(), norm.double()).float())
    setattr(parent, norm_name, nn.Identity())
