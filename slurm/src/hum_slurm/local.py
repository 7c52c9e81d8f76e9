"""The local executor: rows of a manifest as subprocesses, some at a time, until all have ended or a signal comes."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from hum_shared.command import PARENT_VARIABLE
from hum_shared.errors import HumError, MachineError, Stopped
from hum_shared.files import write_json
from hum_shared.layout import Jobs, Workspace
from hum_shared.locks import NO_LOCKS
from hum_shared.manifest import Row, runnable_command
from hum_shared.outcome import LOCAL, Outcome
from hum_slurm.outcome import Ended, state_of
from hum_slurm.progress_files import is_no_op, read_progress
from hum_slurm.report import Report

_POLL_S = 0.1
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class _BusyError(MachineError):
    """Another run is at work on a row."""


@dataclass
class _Running:
    row: Row
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    log_path: Path
    started_ns: int
    told_to_stop: bool = False


def run_rows(
    rows: Sequence[Row], workspace: Workspace, jobs: Jobs, manifest_sha256: str, *, workers: int, report: Report
) -> list[Ended]:
    """Run rows as subprocesses in the workspace and return how each ended, in the order of ending.

    On SIGINT, SIGTERM, SIGHUP or SIGUSR1 the running ones are told to save their state and are waited for; the others
    are not started. A second signal kills them. Where this process is killed outright they are told to save as well
    (:func:`~hum_shared.command.end_with_parent`). An error of the run itself (disk full, the reader of the report left)
    stops them likewise before it is raised. A row that fails does not keep the others from running.

    A row's log is locked while its task runs, by the task as well, so that no second run works on the same outputs.

    Parameters
    ----------
    rows
        What to run, in this order.
    workspace, jobs
        Where the commands run, and where their logs and outcomes go.
    manifest_sha256
        The digest of the manifest the rows come from; stands in the outcomes.
    workers
        Rows that run at a time. With more than one the CPUs are divided between them.
    report
        Told about every start, end and progress.

    Raises
    ------
    InputError
        When another run is at work on one of the rows, and nothing was started.
    """
    for row in rows:
        if jobs.log(row.stage, row.task).is_file():
            _locked(row, jobs.log(row.stage, row.task)).close()
    waiting, ended = list(rows), list[Ended]()
    running: list[_Running] = []
    environment = _environment(workers)
    with _noted_signals() as signals:
        try:
            n_heeded = 0
            while running or (waiting and not signals):
                while waiting and len(running) < workers and not signals:
                    row = waiting.pop(0)
                    try:
                        started = _start(row, workspace, jobs, environment)
                    except _BusyError as error:  # its outcome is the other run's to record
                        log = jobs.log(row.stage, row.task)
                        ended.append(Ended(row, "failed", error.exit_code, 0.0, log, str(error)))
                        report.ended(ended[-1], len(ended))
                        continue
                    if isinstance(started, Ended):
                        _note_end(started, ended, jobs, manifest_sha256, report)
                    else:
                        running.append(started)
                        report.started(row)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    _note_end(_finish(one, workspace), ended, jobs, manifest_sha256, report)
                if len(signals) > n_heeded:
                    n_heeded = len(signals)
                    _stop(running, kill=n_heeded > 1)
                    report.stopping(signals[0], len(running), killed=n_heeded > 1)
                report.refresh({one.row.task: read_progress(workspace, one.row) for one in running})
                if running:
                    time.sleep(_POLL_S)
        except BaseException:
            _end_all(running, signals)
            raise
    return ended


def _start(row: Row, workspace: Workspace, jobs: Jobs, environment: dict[str, str]) -> _Running | Ended:
    log_path = jobs.log(row.stage, row.task)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log = _locked(row, log_path)
    log.truncate(0)
    try:
        command = runnable_command(row, workspace)
    except HumError as error:
        log.write(f"error: {error}\n".encode())
        log.close()
        return Ended(row, "failed", error.exit_code, 0.0, log_path, str(error))
    try:
        process = subprocess.Popen(
            command,
            cwd=workspace.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on the terminal reaches us alone; we pass it on, once
        )
    except OSError:
        log.close()
        raise
    return _Running(row, process, log, log_path, time.time_ns())


def _locked(row: Row, log_path: Path) -> IO[bytes]:
    """Open a row's log for appending, locked until it and the copies that the task has are closed."""
    log = log_path.open("ab", buffering=0)
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.close()
        raise _BusyError(
            f"{row.task}: another run is at work on it, or a task of one that was killed has not ended yet. Wait for "
            f"it; fuser {shlex.quote(str(log_path))} shows which process it is"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            log.close()
            raise
    return log


def _finish(one: _Running, workspace: Workspace) -> Ended:
    one.log.close()
    seconds = (time.time_ns() - one.started_ns) / 1e9
    code = one.process.returncode
    if one.told_to_stop and code in (-signal.SIGTERM, -signal.SIGKILL):
        code = Stopped.exit_code  # by us: it did not listen yet, or was not given the time to save
    state = state_of(code, nothing_to_do=is_no_op(workspace, one.row, one.started_ns))
    reason = "" if code == 0 else _last_line(one.log_path)
    if code < 0:
        reason = f"killed by {signal.Signals(-code).name}" + (f"; last line: {reason}" if reason else "")
    return Ended(one.row, state, code, seconds, one.log_path, reason)


def _note_end(result: Ended, ended: list[Ended], jobs: Jobs, manifest_sha256: str, report: Report) -> None:
    outcome = Outcome(manifest_sha256=manifest_sha256, index=result.row.index, exit_code=result.exit_code, job=LOCAL)
    write_json(jobs.outcome(result.row.stage, result.row.index), outcome.model_dump())
    ended.append(result)
    report.ended(result, len(ended))


def _stop(running: Sequence[_Running], *, kill: bool) -> None:
    for one in running:
        if one.process.poll() is None:
            one.told_to_stop = True
            if kill:
                os.killpg(one.process.pid, signal.SIGKILL)  # with its worker processes
            else:
                one.process.send_signal(signal.SIGTERM)


def _end_all(running: Sequence[_Running], signals: Sequence[str]) -> None:
    """Tell what still runs to save its state and wait for it; a further signal kills it."""
    _stop([one for one in running if not one.told_to_stop], kill=False)
    n_heeded = len(signals)
    while any(one.process.poll() is None for one in running):
        if len(signals) > n_heeded:
            n_heeded = len(signals)
            _stop(running, kill=True)
        time.sleep(_POLL_S)
    for one in running:
        one.log.close()


@contextmanager
def _noted_signals() -> Iterator[list[str]]:
    """Collect the names of stop signals instead of ending on them."""
    noted: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(signal.Signals(number).name)

    # Under nohup the end of the terminal is nobody's business.
    unheard = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    before = {number: signal.signal(number, note) for number in _STOP_SIGNALS if number not in unheard}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(workers: int) -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", PARENT_VARIABLE: str(os.getpid())}
    if workers > 1:
        threads = str(max(1, len(os.sched_getaffinity(0)) // workers))
        environment.update(dict.fromkeys(_THREAD_VARIABLES, threads))
    return environment


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")
