"""Prove inside an image that it holds what it should: `selftest.py SERVICE VERSION`, run by its %test."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)( ;)?", re.MULTILINE)


def wrong_versions(lock: str) -> list[str]:
    """Return what is not installed as the lock says; pins with a condition may be absent."""
    wrong = []
    for name, pinned, conditional in _PIN.findall(lock):
        try:
            found = version(name)
        except PackageNotFoundError:
            if not conditional:
                wrong.append(f"{name} {pinned} is missing")
            continue
        if found.partition("+")[0] != pinned:  # torch adds its flavour: 2.13.0+cpu
            wrong.append(f"{name} is {found}, not {pinned}")
    return wrong


def missing_requirements(distribution: str) -> list[str]:
    """Return the packages that a distribution needs always and that are not there: the lock is older than its needs."""
    wanted = [
        re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0] for need in requires(distribution) or [] if ";" not in need
    ]
    return [name for name in wanted if not _is_installed(name)]


def import_everything(package: str) -> None:
    """Import every module of a package, so that nothing it needs was forgotten or stripped."""
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f"{package}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def torch_works() -> str:
    """Compute on the device that `auto` means, see `cuda` refused where there is no GPU, and say what there is."""
    import torch

    from hum_shared.errors import MachineError
    from hum_shared.model.device import choose_device

    device = choose_device("auto", no_cuda=False)
    spectrogram = torch.ones(1, 1, 8, 8, device=device)
    if float(torch.nn.functional.conv2d(spectrogram, spectrogram).cpu()) != 64:
        raise SystemExit(f"error: torch computes wrong numbers on {device}")
    if device.type == "cpu":
        try:
            choose_device("cuda", no_cuda=False)
        except MachineError:
            pass
        else:
            raise SystemExit("error: device=cuda is accepted, but there is no GPU")
    return f"torch {torch.__version__}, auto means {device}"


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def main(service: str, expected: str) -> None:
    """Check the command, the versions and torch; end 1 with a line about the first thing that is wrong."""
    command = f"hum-{service.replace('_', '-')}"
    here = Path(__file__).parent
    if version(command) != expected:
        raise SystemExit(f"error: {command} is {version(command)}, the image's label says {expected}")
    subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    locked = (here / f"{service}.txt").read_text(encoding="utf-8")
    if missing := missing_requirements(command):
        raise SystemExit(
            f"error: {command} needs {', '.join(missing)}, which its lock has not. Run make lock, build again"
        )
    import_everything(f"hum_{service}")
    import_everything("hum_shared.status")  # for --status-port
    has_torch = importlib.util.find_spec("torch") is not None
    if has_torch != (service in {"trainer", "predictor"}):
        raise SystemExit(f"error: torch is {'' if has_torch else 'not '}in the image of {service}")
    if has_torch:
        locked += (here / "torch.txt").read_text(encoding="utf-8")
    if wrong := wrong_versions(locked):
        raise SystemExit(f"error: not as locked: {', '.join(wrong)}")
    about = [
        f"{command} {expected}",
        f"Python {platform.python_version()}",
        f"{len(_PIN.findall(locked))} pins as locked",
    ]
    print(", ".join([*about, torch_works()] if has_torch else about))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
