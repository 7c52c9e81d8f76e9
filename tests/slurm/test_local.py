from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hum_shared.files import read_json
from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.local import run_rows
from hum_slurm.outcome import Ended
from hum_slurm.report import Report
from support.slurm_workspace import HOSTILE, stand_in_path, stand_in_rows, write_manifest


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PATH", stand_in_path(tmp_path / "bin"))
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    root = tmp_path / HOSTILE
    root.mkdir()
    return Workspace(root)


def run(workspace: Workspace, *endings: str, workers: int = 1) -> tuple[list[Ended], str]:
    rows = stand_in_rows(*endings)
    shown = io.StringIO()
    with Report(len(rows), Console(file=shown, soft_wrap=True, markup=False, highlight=False)) as report:
        ended = run_rows(rows, workspace, workspace.benchmark().jobs, "d" * 64, workers=workers, report=report)
    return ended, shown.getvalue()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def signal_when(path: Path, *numbers: signal.Signals) -> threading.Thread:
    """Signal this process once `path` is there; again for every further signal once the first was passed on."""

    def send() -> None:
        wait_for(path)
        os.kill(os.getpid(), numbers[0])
        for number in numbers[1:]:
            wait_for(path.with_name("told"))
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_exit_codes_become_states_and_a_failure_does_not_keep_the_others_from_running(workspace: Workspace) -> None:
    ended, _ = run(workspace, "0", "2", "3", "noop", "1", "75")
    assert [one.state for one in ended] == ["done", "failed", "partial", "skipped", "failed", "stopped"]


def test_rows_run_in_the_workspace_and_their_output_goes_to_their_log(workspace: Workspace) -> None:
    ended, _ = run(workspace, "2")
    text = (workspace.root / "BENCHMARK/jobs/job_logs/evaluate_task 0.log").read_text()
    assert text == f"ran in {workspace.root} threads 77\nerror: it ended 2\n"
    assert (ended[0].reason, ended[0].exit_code) == ("it ended 2", 2)


def test_every_row_reports_its_start_and_end_in_a_line(workspace: Workspace) -> None:
    _, shown = run(workspace, "0", "2")
    lines = shown.splitlines()
    assert lines[0] == "evaluate task 0: started"
    assert lines[1].startswith("[1/2] evaluate task 0: done in ")
    assert lines[3].startswith("[2/2] evaluate task 1: failed in ")
    assert "(exit 2): it ended 2; see " in lines[3]
    assert len(lines) == 4


def test_an_old_report_of_nothing_to_do_does_not_count(workspace: Workspace) -> None:
    run(workspace, "noop")
    rows = stand_in_rows("0")
    rows[0] = rows[0].model_copy(update={"command": ["stand-in", "0"]})
    jobs = workspace.benchmark().jobs
    old = workspace.progress_file("evaluate", "task 0")
    os.utime(old, (0, 0))
    with Report(1, Console(file=io.StringIO())) as report:
        assert run_rows(rows, workspace, jobs, "d", workers=1, report=report)[0].state == "done"


def test_outcomes_are_recorded_with_the_manifest_they_belong_to(workspace: Workspace) -> None:
    run(workspace, "0", "3")
    assert read_json(workspace.benchmark().jobs.outcome("evaluate", 1)) == {
        "manifest_sha256": "d" * 64,
        "index": 1,
        "exit_code": 3,
        "job": "local",
    }


def test_workers_share_the_threads(workspace: Workspace) -> None:
    run(workspace, "0", "0", workers=2)
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    text = workspace.benchmark().jobs.log("evaluate", "task 1").read_text()
    assert text.splitlines()[0].endswith(f"threads {threads}")


def test_a_program_that_is_not_installed_fails_its_row_alone(workspace: Workspace) -> None:
    rows = [
        row.model_copy(update={"command": ["no-such"]}) if row.index == 0 else row for row in stand_in_rows("0", "0")
    ]
    with Report(2, Console(file=io.StringIO())) as report:
        ended = run_rows(rows, workspace, workspace.benchmark().jobs, "d", workers=1, report=report)
    assert [(one.state, one.exit_code) for one in ended] == [("failed", 1), ("done", 0)]
    assert "no-such is neither in" in ended[0].log.read_text()


@pytest.fixture
def before_hangup() -> Iterator[Callable[[Any], object]]:
    """Set what SIGHUP means before the run, whatever the tests themselves were started by."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("before_hangup")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_lets_the_running_row_save_and_starts_no_other(workspace: Workspace, number: signal.Signals) -> None:
    thread = signal_when(workspace.root / "ready", number)
    ended, shown = run(workspace, "listen", "0")
    thread.join()
    assert [one.state for one in ended] == ["stopped"]
    assert (workspace.root / "told").read_text() == "SIGTERM"
    assert f"{number.name}: 1 tasks are told to save and stop" in shown


class Troubled(Report):
    """A report that does something of its own when a row starts."""

    def __init__(self, on_start: Callable[[Row], object]):
        super().__init__(2, Console(file=io.StringIO()))
        self._on_start = on_start

    def started(self, row: Row) -> None:
        self._on_start(row)


def test_under_nohup_a_terminal_that_closes_stops_nothing(
    workspace: Workspace, before_hangup: Callable[[Any], object]
) -> None:
    before_hangup(signal.SIG_IGN)
    report = Troubled(lambda _row: os.kill(os.getpid(), signal.SIGHUP))
    ended = run_rows(stand_in_rows("0", "0"), workspace, workspace.benchmark().jobs, "d", workers=1, report=report)
    assert [one.state for one in ended] == ["done", "done"]


def test_an_error_of_the_run_itself_leaves_no_row_running(workspace: Workspace) -> None:
    def fail_once_the_first_listens(row: Row) -> None:
        if row.index == 1:
            wait_for(workspace.root / "ready")
            raise OSError(errno.ENOSPC, "No space left on device")

    report, jobs = Troubled(fail_once_the_first_listens), workspace.benchmark().jobs
    with pytest.raises(OSError, match="No space left"):
        run_rows(stand_in_rows("listen", "0"), workspace, jobs, "d", workers=2, report=report)
    assert (workspace.root / "told").read_text() == "SIGTERM"


def test_a_second_signal_kills_what_does_not_listen(workspace: Workspace) -> None:
    thread = signal_when(workspace.root / "ready", signal.SIGTERM, signal.SIGTERM)
    ended, shown = run(workspace, "deaf")
    thread.join()
    assert [one.state for one in ended] == ["stopped"]
    assert "SIGTERM again: 1 tasks killed" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
def test_a_run_that_is_killed_outright_takes_its_rows_with_it(workspace: Workspace) -> None:
    write_manifest(workspace.benchmark().jobs, stand_in_rows("listen"))
    command = [sys.executable, "-c", "from hum_slurm.cli import main; main()", "run", "evaluate", "--executor", "local"]
    with subprocess.Popen([*command, "--workspace", str(workspace.root)], stdout=subprocess.DEVNULL) as started:
        wait_for(workspace.root / "ready")
        started.kill()
    wait_for(workspace.root / "told")
    time.sleep(0.2)  # it is there before its text
    assert (workspace.root / "told").read_text() == "SIGTERM"


def test_two_runs_do_not_work_on_one_row(workspace: Workspace) -> None:
    write_manifest(workspace.benchmark().jobs, stand_in_rows("listen"))
    command = [sys.executable, "-c", "from hum_slurm.cli import main; main()", "run", "evaluate", "--executor", "local"]
    command += ["--workspace", str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        wait_for(workspace.root / "ready")
        log = workspace.benchmark().jobs.log("evaluate", "task 0")
        said = log.read_text()
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "task 0: another run is at work on it" in second.stderr
        assert log.read_text() == said
        first.terminate()


def test_a_row_that_another_run_has_begun_meanwhile_fails_alone(workspace: Workspace) -> None:
    jobs = workspace.benchmark().jobs
    rows = stand_in_rows("0", "0", "0")
    busy = jobs.log("evaluate", "task 1")

    class Other(Report):
        """Another run takes row 1 as soon as row 0 has begun."""

        def started(self, row: Row) -> None:
            super().started(row)
            if row.index == 0:
                self.held = busy.open("ab")
                fcntl.flock(self.held, fcntl.LOCK_EX)
                self.held.write(b"said by the other\n")
                self.held.flush()

    with Other(3, Console(file=io.StringIO())) as report:
        ended = run_rows(rows, workspace, jobs, "d" * 64, workers=1, report=report)
        report.held.close()
    assert [(one.row.index, one.state, one.exit_code) for one in ended] == [
        (0, "done", 0), (1, "failed", 1), (2, "done", 0),
    ]  # fmt: skip
    assert busy.read_text() == "said by the other\n"
    assert not jobs.outcome("evaluate", 1).exists()


def test_signals_mean_what_they_did_before_once_the_run_is_over(workspace: Workspace) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(workspace, "0")
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_command_line_runs_a_stage_and_ends_as_its_worst_row(workspace: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from hum_slurm.cli import main; main()", "run", "evaluate", "--executor", "local"]
    command += ["--workspace", str(workspace.root)]
    expected = {("0", "noop"): 0, ("0", "3"): 3, ("3", "2", "0"): 2, ("2", "1"): 1, ("75", "2"): 75, ("137",): 1}
    for endings, code in expected.items():
        write_manifest(workspace.benchmark().jobs, stand_in_rows(*endings))
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ran.returncode == code, ran.stderr
        if endings == ("3", "2", "0"):
            assert ran.stdout.splitlines()[-1] == "done 1, failed 1, skipped 0, partial 1 (of 3)"
            assert "task 1 ended 2 (it ended 2), see " in ran.stderr
    only = subprocess.run([*command, "--only", "0"], capture_output=True, text=True, check=False)
    assert only.stdout.splitlines()[-1].endswith("(of 1)")
