"""Matrix products in float32 by the library that is fast on this CPU. They have no gradient of their own."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor

_CPU_INFO = Path("/proc/cpuinfo")


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x (m, k) times weight (k, n), plus bias (n,)."""
    if _is_for_onednn(x):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight.t(), bias, "none", [], "")
        return out
    return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)


def add_product_(out: Tensor, x: Tensor, weight: Tensor, *, fresh: bool = False) -> None:
    """Add x (m, k) times weight (k, n) to `out` (m, n); `fresh`: write it there."""
    if not _is_for_onednn(x):
        out.addmm_(x, weight, beta=int(not fresh))
    elif fresh:
        out.copy_(product(x, weight))
    else:
        out.add_(product(x, weight))


def _is_for_onednn(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu" and mkl_is_slow()


@functools.cache
def mkl_is_slow() -> bool:
    """Whether torch's own float32 products are half as fast as they could be here, and oneDNN's can be had.

    They are MKL's, which leaves AVX-512 unused on CPUs that are not Intel's; oneDNN, which computes torch's
    convolutions, looks at what the CPU can do. Torch has no switch for that; the operator is the one its compiler uses.
    """
    return (
        _is_amd()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _is_amd() -> bool:
    return _CPU_INFO.is_file() and "AuthenticAMD" in _CPU_INFO.read_text(encoding="ascii", errors="replace")
