"""Hands arrays to sbatch: one stage or a chain of them, all checked before the first is submitted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from hum_shared.errors import InputError, MachineError
from hum_shared.layout import Workspace
from hum_shared.provenance import utc_now
from hum_slurm.chain import Need, needs_of
from hum_slurm.programs import ask
from hum_slurm.row_numbers import compressed, ranges
from hum_slurm.submissions import Submission, record_submission, require_room
from hum_slurm.written import WrittenArray, WrittenStage


@dataclass(frozen=True)
class Request:
    """One call of sbatch that is to be made.

    Attributes
    ----------
    stage, array
        What is submitted.
    indices
        Of the array; None for all.
    only_rows
        The rows wanted of these indices; empty for all.
    needs
        What it waits for, among the arrays of earlier requests.
    memory, time
        Asked for instead of what the script says.
    """

    stage: WrittenStage
    array: WrittenArray
    indices: tuple[int, ...] | None = None
    only_rows: tuple[int, ...] = ()
    needs: Sequence[Need] = field(default_factory=tuple)
    memory: str | None = None
    time: str | None = None

    def options(self) -> list[str]:
        """Return sbatch's options but for the dependency."""
        options = []
        if self.indices is not None:
            options.append(f"--array={compressed(self.indices)}%{self.array.concurrency}")
        if self.memory is not None:
            options.append(f"--mem={self.memory}")
        if self.time is not None:
            options.append(f"--time={self.time}")
        return options

    def tasks(self) -> list[str]:
        """Return the names of the tasks that are wanted."""
        rows = [row for index in self.indices or self.array.indices for row in self.array.rows_of(index)]
        return [row.task for row in rows if not self.only_rows or row.index in self.only_rows]

    def script(self) -> list[str]:
        """Return the script and its arguments: the rows wanted."""
        return [str(self.array.script), *ranges(self.only_rows)]

    def dependency(self, jobs: dict[str, str]) -> str:
        """Return the value of `--dependency`, given the job ids of earlier requests by script; empty without needs."""
        return ",".join(need.option(jobs[str(need.array.script)]) for need in self.needs)


def requests_of(stages: Sequence[WrittenStage], workspace: Workspace, *, chain: bool) -> list[Request]:
    """Return one request per array of the stages, in their order; with `chain` each after what it needs."""
    out: list[Request] = []
    earlier: list[WrittenArray] = []
    before: Sequence[WrittenArray] = []
    for stage in stages:
        for array in stage.arrays:
            needs = needs_of(array, earlier, before, workspace) if chain else []
            out.append(Request(stage, array, needs=tuple(needs)))
        before = stage.arrays
        earlier += stage.arrays
    return out


def check_array_size(requests: Sequence[Request], max_array_size: int) -> None:
    """Check that the cluster takes arrays of these sizes.

    Raises
    ------
    InputError
        When an index is too high for it.
    """
    for request in requests:
        highest = request.array.indices[-1]
        if highest >= max_array_size:
            raise InputError(
                f"{request.array.script}: has indices up to {highest}, but MaxArraySize is {max_array_size} here. "
                f"Run {request.stage.factory_command} again, here."
            )


def as_shell(requests: Sequence[Request]) -> list[str]:
    """Return the requests as lines of a shell, in which the variable job1 is the id of the first, and so on."""
    jobs: dict[str, str] = {}
    lines = []
    for number, request in enumerate(requests, start=1):
        words = ["sbatch", "--parsable", *request.options()]
        line = shlex.join(words)
        if request.needs:
            line += f' --dependency="{request.dependency(jobs)}" --kill-on-invalid-dep=yes'
        lines.append(f"job{number}=$({line} {shlex.join(request.script())})")
        jobs[str(request.array.script)] = f"${{job{number}}}"
    return lines


def refusals(requests: Sequence[Request]) -> list[tuple[Request, str]]:
    """Ask Slurm whether it would take every request; return those that it would not, and why. Nothing is submitted.

    Raises
    ------
    MachineError
        When there is no sbatch.
    """
    answers = [(one, ask("sbatch", "--test-only", *one.options(), *one.script())) for one in requests]
    return [(request, answer.reason) for request, answer in answers if answer.exit_code != 0]


def submit_all(requests: Sequence[Request], workspace: Workspace) -> list[Submission]:
    """Submit the requests in order and record each at once; return the records.

    Raises
    ------
    MachineError
        When sbatch refuses one or it cannot be recorded: names those that were submitted before.
    """
    jobs: dict[str, str] = {}
    done: list[Submission] = []
    for request in requests:
        script = request.array.script
        try:
            require_room(workspace.submissions)
        except OSError as error:
            raise MachineError(f"{workspace.submissions}: {error.strerror}. Make room{_undo(done)}") from None
        dependency = request.dependency(jobs)
        waits = [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"] if dependency else []
        answer = ask("sbatch", "--parsable", *request.options(), *waits, *request.script())
        job = answer.output.strip().partition(";")[0]
        if answer.exit_code != 0 or not job.isdecimal():
            raise MachineError(f"sbatch refused {script}: {answer.reason}{_undo(done)}")
        submission = _submission(request, int(job), dependency, workspace)
        try:
            record_submission(workspace.submissions, submission)
        except OSError as error:
            raise MachineError(
                f"{script} is submitted as job {job}, but that could not be recorded: {workspace.submissions}: "
                f"{error.strerror}. Take it back, or it is run twice: scancel {job}{_undo(done)}"
            ) from None
        done.append(submission)
        jobs[str(script)] = job
    return done


def _undo(done: Sequence[Submission]) -> str:
    submitted = " ".join(str(one.job) for one in done)
    return f"; submitted before it: {submitted} (scancel {submitted} takes them back)" if done else ""


def _submission(request: Request, job: int, dependency: str, workspace: Workspace) -> Submission:
    array = request.array
    return Submission(
        submitted_at=utc_now(),
        job=job,
        stage=request.stage.stage.name,
        set_name=request.stage.set_name,
        script=workspace.relative(array.script),
        manifest_sha256=request.stage.manifest_sha256,
        indices=compressed(array.indices if request.indices is None else request.indices),
        first_row=array.rows[0].index,
        n_rows=len(array.rows),
        rows_per_task=array.rows_per_task,
        only_rows=compressed(request.only_rows),
        dependency=dependency,
        memory=request.memory,
        time=request.time,
    )
