"""Which device and precision a task computes with."""

from __future__ import annotations

import os
import warnings
from typing import Any

import torch

from hum_shared.command import warn
from hum_shared.errors import MachineError


def choose_device(device: str | None, *, no_cuda: bool) -> torch.device:
    """Return the device that the settings mean on this machine.

    Parameters
    ----------
    device
        ``auto``, ``cpu``, ``cuda``; None: `no_cuda` decides between ``cpu`` and ``auto``.

    Raises
    ------
    MachineError
        When ``cuda`` is asked for and there is no usable GPU. With ``auto`` one that cannot be used is a warning.
    """
    wanted = device or ("cpu" if no_cuda else "auto")
    if wanted == "cpu":
        return torch.device("cpu")
    is_visible, trouble = _gpu()
    if trouble is None:
        return torch.device("cuda")
    if wanted == "cuda":
        remedy = "" if is_visible else " Ask for one (and pass --nv to apptainer), or use device=auto."
        raise MachineError(f"device=cuda, but {trouble}.{remedy}")
    if is_visible:
        warn(f"{trouble}; computing on the CPU")
    return torch.device("cpu")


def _gpu() -> tuple[bool, str | None]:
    """Return whether there seems to be a GPU, and why none can be used; None where one can."""
    with warnings.catch_warnings(record=True) as said:  # torch warns of a driver that is too old
        warnings.simplefilter("always")
        if not torch.cuda.is_available():
            if not said:
                return False, "no GPU is visible to this process"
            return True, f"the GPU cannot be used: {_first_line(said[-1].message)}"
        try:
            float(torch.ones(1, device="cuda") + 1)
        except RuntimeError as error:  # one that another task holds, or that this torch has no code for
            return True, f"the GPU cannot be used: {_first_line(error)}"
    for one in said:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return True, None


def _first_line(message: Warning | str | Exception) -> str:
    return str(message).partition("\n")[0].rstrip(".")


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def describe(device: torch.device, precision: str) -> str:
    """Return device and precision for people, for example ``cuda (NVIDIA A100), bfloat16``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{device.type} ({name}), {precision}"


def autocast(device: torch.device, precision: str) -> Any:
    """Return the context in which networks compute; float32 means no change anywhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def exact_float32() -> None:
    """Keep float32 products exact: no TF32 on GPUs, no bfloat16 shortcuts on CPUs. To be called before any."""
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # for traces of other programs, which carry torch's settings from there
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
