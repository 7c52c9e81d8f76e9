"""Who may import whom (DESIGN.md): by the source, and by what a running process has loaded."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WALK = """
import importlib, pkgutil, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio"}:
            raise ModuleNotFoundError(f"{name} must not be imported here")

sys.meta_path.insert(0, NoTorch())
package = importlib.import_module(sys.argv[1])
modules = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in modules:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(modules))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
print(*sorted(name for name in sys.modules if name.startswith("hum_shared.model")))
"""


def test_import_rules_hold() -> None:
    command = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert command is not None, "import-linter is part of the development environment: make setup"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["hum_evaluator", "hum_rf_filter"])
def test_no_module_loads_torch(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", WALK, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_modules, loaded, of_the_model = done.stdout.split("\n")[:3]
    assert int(n_modules) > 1
    assert not {"torch", "torchaudio"} & set(loaded.split())
    assert of_the_model == ""


@pytest.mark.parametrize("package", ["hum_evaluator", "hum_rf_filter", "hum_trainer", "hum_predictor", "hum_slurm"])
def test_no_service_loads_another(package: str) -> None:
    program = WALK.replace("sys.meta_path.insert(0, NoTorch())", "")
    done = subprocess.run([sys.executable, "-c", program, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = {name for name in done.stdout.split("\n")[1].split() if name.startswith("hum_")}
    assert ours <= {"hum_shared", package}
