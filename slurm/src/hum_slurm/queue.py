"""What Slurm knows about the submitted arrays: asked with one query where there is accounting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared.errors import MachineError
from hum_slurm.job_states import (
    COMMAND_FORMAT,
    SACCT_FIELDS,
    SQUEUE_FORMAT,
    TaskState,
    parse_commands,
    parse_jobcomp,
    parse_sacct,
    parse_squeue,
)
from hum_slurm.programs import ask, is_installed, output_of
from hum_slurm.slurm_config import parse_config


@dataclass(frozen=True)
class Queue:
    """The last known state of every task of some arrays.

    Attributes
    ----------
    source
        The program that said so; empty where Slurm was not asked.
    tasks
        By array and index. The index None stands for all tasks of an array that have no record of their own.
    """

    source: str = ""
    tasks: dict[tuple[int, int | None], TaskState] = field(default_factory=dict)

    def state(self, job: int, index: int) -> TaskState | None:
        """Return the state of a task; None when Slurm no longer knows, or never did."""
        return self.tasks.get((job, index), self.tasks.get((job, None)))


def ask_queue(jobs: Sequence[int]) -> Queue:
    """Return what Slurm knows about arrays; nothing on a machine without Slurm, or for no jobs.

    Raises
    ------
    MachineError
        When Slurm is there but does not answer.
    """
    if not jobs or not (is_installed("sacct") or is_installed("squeue")):
        return Queue()
    wanted = frozenset(jobs)
    if is_installed("sacct"):
        listed = ",".join(map(str, sorted(wanted)))
        answer = ask(
            "sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={listed}", f"--format={SACCT_FIELDS}"
        )
        if answer.exit_code == 0:
            return Queue("sacct", _by_task(parse_sacct(answer.output), wanted))
        if "accounting storage is disabled" not in answer.errors:
            raise MachineError(f"sacct: {answer.reason}")
    shown = output_of(
        "squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", f"--format={SQUEUE_FORMAT}"
    )
    # What ended longer ago than MinJobAge is only in the file of finished jobs, where the cluster keeps one for all.
    tasks = _by_task([*_finished_jobs(), *parse_squeue(shown)], wanted)
    return Queue("squeue", tasks)


def jobs_of_scripts(scripts: Sequence[Path]) -> dict[int, Path]:
    """Return the jobs of this user that wait or run and were submitted from some batch scripts, by whomever.

    Raises
    ------
    MachineError
        When there is no Slurm here or it does not answer.
    """
    shown = output_of("squeue", "--noheader", f"--user={os.getuid()}", f"--format={COMMAND_FORMAT}")
    return {
        job: script
        for job, command in parse_commands(shown).items()
        for script in scripts
        if any(f"{command} ".startswith(f"{path} ") for path in (script, script.resolve()))
    }


def _finished_jobs() -> list[TaskState]:
    config = parse_config(output_of("scontrol", "show", "config"))
    if config.get("JobCompType") != "jobcomp/filetxt":
        return []
    path = Path(config.get("JobCompLoc", ""))
    return parse_jobcomp(path.read_text("utf-8", errors="replace")) if os.access(path, os.R_OK) else []


def _by_task(states: Sequence[TaskState], wanted: frozenset[int]) -> dict[tuple[int, int | None], TaskState]:
    return {(state.job, state.index): state for state in states if state.job in wanted}
