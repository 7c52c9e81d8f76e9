"""The Slurm executor: hands the arrays of a stage's present manifest to sbatch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from hum_shared.errors import InputError, MachineError
from hum_shared.layout import Jobs, Workspace


def arrays_of(jobs: Jobs, manifest_sha256: str) -> list[Path]:
    """Return the batch scripts that belong to a manifest, sorted; those of an older one do not.

    Raises
    ------
    InputError
        When there is none.
    """
    scripts = sorted([*jobs.root.glob("*.batch"), *jobs.root.glob("*.sbatch")])
    found = [script for script in scripts if f"manifest_sha256={manifest_sha256}\n" in script.read_text("utf-8")]
    if not found:
        raise InputError(f"{jobs.root}: no batch script belongs to the present manifest. Write the stage again.")
    return found


def submit(scripts: list[Path], workspace: Workspace) -> list[str]:
    """Submit batch scripts and return what sbatch says about each.

    Raises
    ------
    MachineError
        When there is no sbatch, or it refuses a script.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise MachineError("no sbatch on the PATH: this is no Slurm login node. Use --executor local here.")
    answers = []
    for script in scripts:
        asked = subprocess.run([sbatch, str(script)], cwd=workspace.root, capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            raise MachineError(f"sbatch refused {script}: {asked.stderr.strip() or f'exit {asked.returncode}'}")
        answers.append(f"{script.name}: {asked.stdout.strip()}")
    return answers
