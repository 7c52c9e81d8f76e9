"""Both ways of multiplying give the same, whatever the CPU that the tests run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from hum_shared.model import products
from hum_shared.model.products import add_product_, mkl_is_slow, product


@pytest.fixture(params=[False, True], ids=["torch", "oneDNN"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "mkl_is_slow", lambda: request.param)
    with torch.no_grad():
        yield request.param


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (7, 33, 5), (200, 64, 48), (0, 4, 3)])
@pytest.mark.usefixtures("way")
def test_products_are_those_of_mathematics(m: int, k: int, n: int) -> None:
    x, weight, bias = numbers(m, k), numbers(k, n), numbers(n)
    expected = (x.double() @ weight.double()).float()
    torch.testing.assert_close(product(x, weight), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(product(x, weight, bias), expected + bias, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(product(x, weight.t().contiguous().t()), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(product(x.t().contiguous().t(), weight), expected, atol=1e-4, rtol=1e-5)
    out = torch.full((m, n), torch.nan)
    add_product_(out, x, weight, fresh=True)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-5)
    add_product_(out, x, weight)
    torch.testing.assert_close(out, 2 * expected, atol=2e-4, rtol=1e-5)


def test_other_numbers_are_left_to_torch(way: bool) -> None:
    x, weight = numbers(8, 16).bfloat16(), numbers(16, 4).bfloat16()
    assert torch.equal(product(x, weight), x @ weight)
    assert torch.equal(product(x.double(), weight.double()), x.double() @ weight.double())


@pytest.mark.parametrize(("maker", "capability", "slow"), [
    ("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False),
])  # fmt: skip
def test_mkl_is_taken_for_slow_where_it_leaves_half_of_the_cpu_unused(
    monkeypatch: pytest.MonkeyPatch, tmp_path, maker: str, capability: str, slow: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {maker}\nmodel name\t: Müller\n", encoding="utf-8")
    monkeypatch.setattr(products, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    has_both = torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()
    assert mkl_is_slow.__wrapped__() == (slow and has_both)
    monkeypatch.setattr(products, "_CPU_INFO", tmp_path / "none")
    assert not mkl_is_slow.__wrapped__()
