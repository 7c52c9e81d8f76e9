"""Winograd convolutions compute what direct ones do, on maps of every size, as exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hum_shared.model.winograd import WinogradConv2d


def _errors(conv, x):
    """Return the largest deviation of the Winograd and the direct convolution from one in float64."""
    with torch.inference_mode():
        bias = None if conv.bias is None else conv.bias.double()
        exact = nn.functional.conv2d(x.double(), conv.weight.double(), bias, 1, 1)
        return (WinogradConv2d(conv)(x) - exact).abs().max(), (conv(x) - exact).abs().max()


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.integers(1, 13)),
    out_channels=st.integers(1, 4),
    bias=st.booleans(),
    channels_last=st.booleans(),
)
def test_maps_of_every_size(shape, out_channels, bias, channels_last):
    generator = torch.Generator().manual_seed(sum(shape))
    conv = nn.Conv2d(shape[1], out_channels, 3, 1, 1, bias=bias)
    x = torch.randn(shape, generator=generator)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    error, _ = _errors(conv, x)
    assert error < 1e-5


def test_rounding_errors_are_of_the_size_of_direct_convolution():
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 64, 3, 1, 1, bias=False)
    error, direct = _errors(conv, torch.relu(torch.randn(2, 256, 3, 16)))
    assert error < 5 * direct


def test_the_result_is_channels_last_and_the_input_is_left_alone():
    x = torch.randn(2, 4, 3, 8)
    before = x.clone()
    with torch.inference_mode():
        y = WinogradConv2d(nn.Conv2d(4, 6, 3, 1, 1))(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "change", [{"stride": 2}, {"padding": 0}, {"kernel_size": 5}, {"groups": 2}, {"dilation": 2, "padding": 2}]
)
def test_other_convolutions_are_refused(change):
    conv = nn.Conv2d(4, 4, **({"kernel_size": 3, "stride": 1, "padding": 1} | change))
    with pytest.raises(ValueError, match="no plain 3×3 convolution"):
        WinogradConv2d(conv)
