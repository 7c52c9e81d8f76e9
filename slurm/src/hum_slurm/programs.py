"""Slurm's programs, called: the only module that runs them; what they print is parsed elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from hum_shared.errors import MachineError

_TIMEOUT_S = 120
# squeue and sacct cut a list of array indices to 64 bytes, unless they are told not to.
_WHOLE_LISTS = {"SLURM_BITSTR_LEN": "0"}


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    exit_code: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""
        return " ".join(self.errors.split()) or f"exit {self.exit_code}"


def is_installed(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def ask(program: str, *arguments: str, timeout_s: float = _TIMEOUT_S) -> Answer:
    """Run a program of Slurm and return its answer, whatever its exit code.

    Raises
    ------
    MachineError
        When it is not installed or does not answer within `timeout_s`.
    """
    found = shutil.which(program)
    if found is None:
        raise MachineError(f"no {program} on the PATH: this is no Slurm login node. Use --executor local here.")
    command: Sequence[str] = [found, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout_s,
            env={**os.environ, **_WHOLE_LISTS},
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"{program} does not answer within {timeout_s:.0f} s. Try again later.") from None
    return Answer(done.returncode, done.stdout, done.stderr)


def output_of(program: str, *arguments: str) -> str:
    """Run a program of Slurm and return what it printed.

    Raises
    ------
    MachineError
        When it is not installed, fails or does not answer.
    """
    answer = ask(program, *arguments)
    if answer.exit_code != 0:
        raise MachineError(f"{program} {' '.join(arguments)}: {answer.reason}")
    return answer.output
