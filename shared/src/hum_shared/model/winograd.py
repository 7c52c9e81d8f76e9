"""3×3 convolution with half the multiplications (Winograd 1980; Lavin and Gray 2016, doi 10.1109/CVPR.2016.435)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hum_shared.model.products import add_product_, product

_TILE = 4  # outputs along frequency that come from 6 products instead of 12
_A, _B = (
    math.sqrt(0.5),
    math.sqrt(2.0),
)  # with ±1 and ±2, the textbook's points, rounding errors are several times these
_A2, _B2 = 0.5, 2.0


class WinogradConv2d(nn.Module):
    """A 3×3 convolution with stride 1 and padding 1, as F(4, 3) along frequency and plainly along time.

    Every four outputs y of a row are the product of two polynomials: its six inputs d, and the three weights, are
    evaluated at the points 0, ±a, ±b and ∞, multiplied there (summed over channels by matrix products, which is
    where the time goes), and the outputs read off. Points with a² = ½ and b² = 2 keep numbers of one size: rounding
    errors are of the size of those of a direct convolution.

    Parameters
    ----------
    conv
        What it stands for; its weights are copied, in float32.
    """

    taps: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not is_eligible(conv):
            raise ValueError(f"no plain 3×3 convolution with stride 1 and padding 1: {conv}")
        taps = torch.einsum("gf,oitf->gtio", _weight_transform(), conv.weight.detach().double()).float()
        # Three axes, (point · time, in, out): "channels last" leaves such tensors alone.
        self.register_buffer("taps", taps.flatten(0, 1).contiguous())
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().float().clone()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, T, F) to (N, out, T, F), float32, channels last in memory."""
        n, _, rows, columns = x.shape
        missing = -columns % _TILE
        padded = nn.functional.pad(x, (0, missing)) if missing else x
        products = [
            _along_time(point, taps)
            for point, taps in zip(_points(padded), self.taps.view(6, 3, *self.taps.shape[1:]), strict=True)
        ]
        # Memory as (N, T, tile, 4, out), which is (N, T, F, out).
        out = x.new_empty(n, rows, (columns + missing) // _TILE, _TILE, self.bias.shape[0])
        _outputs(products, out.permute(1, 0, 2, 3, 4))
        return out.add_(self.bias).flatten(2, 3).permute(0, 3, 1, 2)[..., :columns]


def is_eligible(conv: nn.Conv2d) -> bool:
    """Whether :class:`WinogradConv2d` can stand for a convolution."""
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == conv.dilation == (1, 1)
        and conv.padding == (1, 1)
        and conv.groups == 1
    )


def _weight_transform() -> Tensor:
    """Return the matrix (6, 3) that evaluates the weights of a row at the six points, with the products' scales."""
    a_scale, b_scale = 1 / (2 * _A2 * (_A2 - _B2)), 1 / (2 * _B2 * (_B2 - _A2))
    return torch.tensor(
        [
            [1 / (_A2 * _B2), 0, 0],
            [a_scale, a_scale * _A, a_scale * _A2],
            [a_scale, -a_scale * _A, a_scale * _A2],
            [b_scale, b_scale * _B, b_scale * _B2],
            [b_scale, -b_scale * _B, b_scale * _B2],
            [0, 0, 1],
        ],
        dtype=torch.float64,
    )


def _points(x: Tensor) -> list[Tensor]:
    """Evaluate tiles of x (N, C, T, 4·tiles) at the six points; each (T, N, tiles, C), contiguous."""
    n, channels, rows, columns = x.shape
    tiles = x.permute(2, 0, 3, 1).reshape(rows, n, columns // _TILE, _TILE, channels)
    d1, d2, d3, d4 = tiles.unbind(3)

    def minus(left: Tensor, right: Tensor, scale: float) -> Tensor:
        return torch.sub(left, right, alpha=scale, out=x.new_empty(d1.shape))

    even_a, odd_a = minus(d4, d2, _B2), minus(d3, d1, _B2)
    even_b, odd_b = minus(d4, d2, _A2), minus(d3, d1, _A2)
    # d0 is d4 of the tile before, d5 is d1 of the next one; 0 beyond the edges. a²b² is 1.
    zero = minus(d4, d2, _A2 + _B2)
    zero[:, :, 1:].add_(d4[:, :, :-1])
    infinity = minus(d1, d3, _A2 + _B2)
    infinity[:, :, :-1].add_(d1[:, :, 1:])
    return [
        zero,
        torch.add(even_a, odd_a, alpha=_A),
        torch.sub(even_a, odd_a, alpha=_A),
        torch.add(even_b, odd_b, alpha=_B),
        torch.sub(even_b, odd_b, alpha=_B),
        infinity,
    ]


def _along_time(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve x (T, N, tiles, C) with taps (3, C, out) along time."""
    rows, out_channels = x.shape[0], taps.shape[2]
    x = x.flatten(1, 2)
    out = product(x.flatten(0, 1), taps[1]).view(rows, -1, out_channels)
    if rows > 1:
        add_product_(out[1:].view(-1, out_channels), x[:-1].flatten(0, 1), taps[0])
        add_product_(out[:-1].view(-1, out_channels), x[1:].flatten(0, 1), taps[2])
    return out.view(rows, -1, out_channels)


def _outputs(products: list[Tensor], out: Tensor) -> None:
    """Read outputs off the products, each (T, N · tiles, C), into `out` (T, N, tiles, 4, C)."""
    zero, plus_a, minus_a, plus_b, minus_b, infinity = (product.view(out[:, :, :, 0].shape) for product in products)
    even_a, odd_a = plus_a + minus_a, plus_a.sub_(minus_a).mul_(_A)
    even_b, odd_b = plus_b + minus_b, plus_b.sub_(minus_b).mul_(_B)
    torch.add(zero.add_(even_a), even_b, out=out[:, :, :, 0])
    torch.add(odd_a, odd_b, out=out[:, :, :, 1])
    torch.add(even_a.mul_(_A2), even_b, alpha=_B2, out=out[:, :, :, 2])
    torch.add(infinity.add_(odd_a, alpha=_A2), odd_b, alpha=_B2, out=out[:, :, :, 3])
