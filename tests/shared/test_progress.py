import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hum_shared.errors import AudioError, InputError, PartialFailure, Stopped
from hum_shared.progress import Progress, TaskProgress, TaskState, is_lost, track
from hum_shared.progress_display import Lines, clock


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def test_a_task_that_ends_well_is_done(tmp_path: Path) -> None:
    file = tmp_path / "progress" / "predict" / "Grün $1.json"
    with track("predict", "m1", "windows", 10, file) as progress:
        assert _read(file)["state"] == "running"
        progress.advance(4)
        progress.advance(6, "last")
    state = _read(file)
    assert (state["stage"], state["task"], state["state"]) == ("predict", "Grün $1", "done")  # as manifests call it
    assert (state["done"], state["total"], state["unit"], state["message"]) == (10, 10, "windows", "last")
    assert state["started"] <= state["updated"]
    assert state["rate"] > 0
    assert TaskProgress.model_validate(state).state == "done"


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (AudioError("a.wav: empty"), "failed", "a.wav: empty"),
        (ValueError("bug"), "failed", "ValueError: bug"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (PartialFailure("1 of 2 failed"), "done", "1 of 2 failed"),
        (Stopped("saved"), "queued", "saved"),
    ],
)
def test_how_a_task_ends_otherwise(tmp_path: Path, error: BaseException, state: str, message: str) -> None:
    def work() -> None:
        with track("train", "v1", "epochs", file=tmp_path / "x.json"):
            raise error

    with pytest.raises(type(error)):
        work()
    assert (_read(tmp_path / "x.json")["state"], _read(tmp_path / "x.json")["message"]) == (state, message)


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with track("train", "v1", "epochs") as progress:
        progress.advance(1)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_reported_as_itself_even_when_progress_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "progress"

    def work() -> None:
        with track("train", "v1", "epochs", file=folder / "x.json"):
            (folder / "x.json").unlink()
            folder.rmdir()
            folder.write_text("a file in the way")
            raise AudioError("the reason")

    with pytest.raises(AudioError, match="the reason"):
        work()


def test_the_line_says_stage_task_and_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    with track("predict", "m1", "windows", 2000) as progress:
        progress.advance(1000)
        assert capsys.readouterr().err == ""  # a line each half minute, and one at the end
        progress.advance(0, "nothing to do: all is there")
    line = capsys.readouterr().err
    assert line.startswith("predict m1: 1,000/2,000 windows")
    assert line.endswith("nothing to do: all is there\n")


def test_a_line_is_printed_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("hum_shared.progress_display.time.monotonic", lambda: now)
    lines, state = Lines(), Progress("predict", "m1", "windows", 100).snapshot("running")
    printed = []
    for now in (1000, 1029, 1030, 1031, 1059, 1061):  # noqa: B007
        lines.show(state)
        printed.append(bool(capsys.readouterr().err))
    assert printed == [False, False, True, False, False, True]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with track("predict", "[red]m1", "windows", 100) as progress:
        progress.advance(50, "[1/2] a.wav")
        print("a result")
    shown = capsys.readouterr()
    assert "[red]m1" in shown.err  # names are no markup
    assert "━" in shown.err
    assert "50/100 windows" in shown.err
    assert "[1/2] a.wav" in shown.err
    assert shown.out == "a result\n"  # not a terminal: it must arrive whole, wherever the bar is


def test_a_terminal_that_cannot_move_the_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with track("predict", "m1", "windows", 100):
        pass
    assert capsys.readouterr().err == "predict m1: 0/100 windows\n"


def test_the_file_follows_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hum_shared.progress._FILE_INTERVAL_S", 0.01)
    file = tmp_path / "x.json"
    with track("train", "v1", "epochs", 10, file) as progress:
        progress.advance(4)
        _wait_for(lambda: _read(file)["done"] == 4)
        assert _read(file)["remaining_s"] > 0


def test_a_busy_task_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hum_shared.progress._FILE_INTERVAL_S", 0.01)
    monkeypatch.setattr("hum_shared.progress.HEARTBEAT_S", 0.05)
    file = tmp_path / "x.json"
    with track("train", "v1", "epochs", 10, file):
        first = file.stat().st_ino
        _wait_for(lambda: file.stat().st_ino != first)
        assert _read(file)["done"] == 0


def test_an_idle_task_writes_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hum_shared.progress._FILE_INTERVAL_S", 0.01)
    file = tmp_path / "x.json"
    with track("train", "v1", "epochs", 10, file) as progress:
        first = file.stat().st_ino
        time.sleep(0.2)  # twenty intervals without anything to say
        assert file.stat().st_ino == first
        progress.advance(1)
        _wait_for(lambda: file.stat().st_ino != first)


def test_work_goes_on_when_its_progress_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hum_shared.progress._FILE_INTERVAL_S", 0.01)
    folder = tmp_path / "progress"
    said = ""

    def has_warned() -> bool:
        nonlocal said
        progress.advance(1)
        said += capsys.readouterr().err
        return "warning: progress cannot be written, the work goes on without" in said

    with track("train", "v1", "epochs", 10, folder / "x.json") as progress:
        shutil.rmtree(folder)
        folder.write_text("a file in the way")
        _wait_for(has_warned)
    said += capsys.readouterr().err
    assert said.count("the work goes on without") == 1
    assert "the last progress (done) could not be written" in said


def test_a_progress_file_that_cannot_be_written_at_all_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be a folder"), track("t", "v", "u", file=tmp_path / "file" / "x.json"):
        raise AssertionError("the work must not begin")


def test_what_was_done_before_does_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("hum_shared.progress.time.monotonic", lambda: now)
    progress = Progress("train", "v1", "epochs", 100)
    progress.skip(80)
    assert progress.snapshot("running").rate is None
    now = 1010.0
    progress.advance(10)
    state = progress.snapshot("running")
    assert (state.done, state.rate, state.remaining_s) == (90, 1.0, 10.0)


@pytest.mark.parametrize(
    ("state", "updated", "lost"),
    [
        ("running", "2026-01-01T11:59:00+00:00", False),
        ("running", "2026-01-01T11:57:59+00:00", True),
        ("running", "2026-01-01T11:57:59Z", True),
        ("running", "2026-01-01T11:57:59", True),
        ("running", "2026-01-01T12:57:59+01:00", True),
        ("running", "yesterday", False),
        ("done", "2020-01-01T00:00:00+00:00", False),
        ("queued", "2020-01-01T00:00:00+00:00", False),
    ],
)
def test_a_task_is_lost_when_its_heartbeat_is_old(state: TaskState, updated: str, lost: bool) -> None:
    said = Progress("train", "v1", "epochs").snapshot(state).model_copy(update={"updated": updated})
    assert is_lost(said, datetime(2026, 1, 1, 12, tzinfo=UTC)) is lost


def test_a_batch_job_names_its_log(tmp_path: Path) -> None:
    program = (
        "import sys; from hum_shared.progress import Progress; print(Progress('s', 't', 'u').snapshot('done').log)"
    )
    log = tmp_path / "Grün $1.out"
    with log.open("w") as stderr:
        done = subprocess.run([sys.executable, "-c", program], stdout=-1, stderr=stderr, text=True, check=True)
    assert done.stdout == f"{log}\n"


def test_a_file_of_an_older_version_is_read() -> None:
    old = {"stage": "s", "task": "t", "state": "done", "done": 1, "total": 1, "unit": "files", "rate": None}
    assert TaskProgress.model_validate({**old, "started": "", "updated": ""}).remaining_s is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (59.9, "0:59"), (725, "12:05"), (360_000, "100:00:00")])
def test_time_left_is_shown_as_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_nothing_to_do_has_no_rate() -> None:
    state = Progress("predict", "m1", "windows", 0).snapshot("done")
    assert (state.done, state.total, state.rate) == (0, 0, None)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


@pytest.mark.parametrize("done", [0, 3])
def test_a_failures_message_is_left_to_the_command(capsys, done):
    def work() -> None:
        with track("index", "corpus", "files") as progress:
            progress.advance(done)
            raise InputError("no such thing")

    with pytest.raises(InputError):
        work()
    said = capsys.readouterr().err
    assert "no such thing" not in said
    assert said.startswith("index corpus: 3 files" if done else "")
    assert said.count("\n") == (1 if done else 0)
