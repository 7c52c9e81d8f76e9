"""Jobs as Slurm reports them: the tables of squeue, sacct and jobcomp/filetxt, parsed into one kind of record."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hum_slurm.durations import parse_megabytes, parse_minutes
from hum_slurm.row_numbers import expanded

SQUEUE_FORMAT = "%F|%K|%i|%T|%l|%m|%r"
COMMAND_FORMAT = "%F|%o"
SACCT_FIELDS = "JobID,State,ExitCode,Timelimit,ReqMem,Start,End"

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "CONFIGURING", "SPECIAL_EXIT", "RESIZING"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})

_JOBCOMP_KEY = re.compile(
    r"(?:^|\s)(JobId|UserId|GroupId|Name|JobState|Partition|TimeLimit|StartTime|EndTime|NodeList|NodeCnt|ProcCnt"
    r"|WorkDir|ReservationName|Tres|Account|QOS|WcKey|Cluster|SubmitTime|EligibleTime|ArrayJobId|ArrayTaskId"
    r"|HetJobId|HetJobOffset|DerivedExitCode|ExitCode)="
)


@dataclass(frozen=True)
class TaskState:
    """One task of an array, as Slurm saw it last.

    Attributes
    ----------
    job, index
        The array and the task's place in it; the index is None for a job that is no array, for an array that
        ended before it was taken apart, and for the tasks that a list cut short leaves out.
    state
        Slurm's word, such as ``RUNNING``, ``OUT_OF_MEMORY`` or ``TIMEOUT``.
    reason
        Why it waits or failed; empty where Slurm does not say.
    exit_code
        Of the batch script; None while it runs or where it is not said.
    limit_minutes, memory_mb
        What it was given; None where that is unlimited or not said.
    """

    job: int
    index: int | None
    state: str
    reason: str = ""
    exit_code: int | None = None
    limit_minutes: int | None = None
    memory_mb: int | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits to be started."""
        return self.state in WAITING

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self.state in RUNNING


def parse_squeue(text: str) -> list[TaskState]:
    """Return the tasks in the output of ``squeue --noheader --array --format=`` :data:`SQUEUE_FORMAT`.

    A task of an array that waits is listed with the others of its kind as ``7_[1-3]`` by some versions; each gets a
    record of its own. Empty text gives an empty list.
    """
    out = []
    for line in filter(None, text.splitlines()):
        array, index, name, state, limit, memory, reason = line.split("|", 6)
        indices: Iterable[int | None] = [int(index)] if index.isdecimal() else _indices(name)
        out += [
            TaskState(
                job=int(array),
                index=one,
                state=state,
                reason="" if reason in ("None", "(null)") else reason,
                limit_minutes=parse_minutes("" if limit in ("INVALID", "NOT_SET") else limit),
                memory_mb=parse_megabytes(memory),
            )
            for one in indices
        ]
    return out


def parse_commands(text: str) -> dict[int, str]:
    """Return the script and arguments of every array or job in the output of ``squeue --noheader --format=``
    :data:`COMMAND_FORMAT`, by its id.
    """
    parted = (line.partition("|") for line in text.splitlines())
    return {int(job): command for job, _, command in parted if job.isdecimal()}


def parse_sacct(text: str) -> list[TaskState]:
    """Return the tasks in the output of ``sacct --noheader --parsable2 --allocations --format=`` :data:`SACCT_FIELDS`.

    The state of a cancelled job carries who did it (``CANCELLED by 1000``); only the word is kept.
    """
    out = []
    for line in filter(None, text.splitlines()):
        name, state, code, limit, memory, *_ = line.split("|")
        word = state.split()[0] if state else "UNKNOWN"
        for index in _indices(name):
            out.append(
                TaskState(
                    job=int(re.split(r"[_.+]", name)[0]),
                    index=index,
                    state=word,
                    exit_code=int(code.partition(":")[0]) if word not in WAITING | RUNNING else None,
                    limit_minutes=parse_minutes("" if limit == "Partition_Limit" else limit),
                    memory_mb=parse_megabytes(memory),
                )
            )
    return out


def parse_jobcomp(text: str) -> list[TaskState]:
    """Return the tasks in a file of `jobcomp/filetxt`, in the order of ending; a requeued task is there repeatedly.

    Values may hold blanks and equals signs (`WorkDir`), so lines are cut at the known keys.
    """
    out = []
    for line in filter(None, text.splitlines()):
        parts = _JOBCOMP_KEY.split(line)
        values = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
        if "JobId" not in values or "JobState" not in values:
            continue  # the last line while it is being written
        tres = dict(pair.partition("=")[::2] for pair in values.get("Tres", "").split(","))
        limit = values.get("TimeLimit", "")
        index = values.get("ArrayTaskId", "")
        out.append(
            TaskState(
                job=int(values.get("ArrayJobId") or values["JobId"]),
                index=int(index) if index.isdecimal() else None,
                state=values["JobState"],
                exit_code=int(values.get("ExitCode", "").partition(":")[0] or 0),
                limit_minutes=int(limit) if limit.isdecimal() else None,
                memory_mb=parse_megabytes(tres.get("mem", "")),
            )
        )
    return out


def _indices(name: str) -> list[int | None]:
    """Return the indices in a job's name: ``7_3``, ``7_[1-3,8%2]``, or 7 for none.

    Of a list that was cut (``7_[1-3,8-...]``) None stands for what is missing, and so does the last part: it may be
    half a number.
    """
    _, _, task = name.partition("_")
    listed, cut, _ = task.strip("[]").partition("%")[0].partition("...")
    if cut:
        listed = listed.rpartition(",")[0]
    indices: list[int | None] = list(expanded(listed)) if re.match(r"\d", listed) else []
    return indices if indices and not cut else [*indices, None]
