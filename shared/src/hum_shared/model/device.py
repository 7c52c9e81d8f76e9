"""Which device and precision a task computes with."""

from __future__ import annotations

from typing import Any

import torch

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
        When ``cuda`` is asked for and there is no usable GPU.
    """
    wanted = device or ("cpu" if no_cuda else "auto")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            "device=cuda, but no GPU is visible to this process. Ask for one (and pass --nv to apptainer), "
            "or use device=auto."
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


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
    """Keep float32 products exact: no TF32 on GPUs, no bfloat16 shortcuts on CPUs."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
