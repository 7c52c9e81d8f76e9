"""Which device is used, and what is said of a GPU that cannot be."""

from __future__ import annotations

import os
import warnings

import pytest
import torch

from hum_shared.errors import MachineError
from hum_shared.model.device import choose_device, exact_float32


@pytest.fixture(params=["nothing to see", "old driver", "busy"])
def trouble(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine without a usable GPU; returns what is wrong with it."""

    def old_driver() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found version 11040).\nMore.", stacklevel=2)
        return False

    def busy(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nCompile with …")

    is_available = {"nothing to see": lambda: False, "old driver": old_driver, "busy": lambda: True}[request.param]
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch, "ones", busy)
    said = {
        "nothing to see": "no GPU is visible to this process",
        "old driver": "the GPU cannot be used: The NVIDIA driver on your system is too old (found version 11040)",
        "busy": "the GPU cannot be used: CUDA error: all CUDA-capable devices are busy or unavailable",
    }
    return said[request.param]


def test_a_gpu_that_was_asked_for_and_cannot_be_used_is_an_error(trouble: str) -> None:
    with pytest.raises(MachineError) as error:
        choose_device("cuda", no_cuda=False)
    assert str(error.value).startswith(f"device=cuda, but {trouble}.")
    assert ("--nv" in str(error.value)) == trouble.startswith("no GPU")


@pytest.mark.parametrize("device", ["auto", None])
def test_auto_takes_the_cpu_and_says_so_where_a_gpu_is_there(
    trouble: str, device: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose_device(device, no_cuda=False) == torch.device("cpu")
    is_visible = trouble.startswith("the GPU")
    assert capsys.readouterr().err == (f"warning: {trouble}; computing on the CPU\n" if is_visible else "")


def test_a_gpu_is_not_looked_for_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", pytest.fail)
    assert choose_device("cpu", no_cuda=False) == torch.device("cpu")
    assert choose_device(None, no_cuda=True) == torch.device("cpu")


def test_a_gpu_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *_, **__: torch.zeros(1))
    assert choose_device("auto", no_cuda=False) == torch.device("cuda")


def test_no_library_rounds_float32_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not for traces, which carry torch's settings from where they were made."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    exact_float32()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
