import json
from pathlib import Path
from typing import Any

import pytest

from hum_shared.errors import AudioError, PartialFailure, Stopped
from hum_shared.progress import Progress, TaskProgress, track


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
    assert (state["stage"], state["task"], state["state"]) == ("predict", "m1", "done")
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
    progress = Progress("predict", "m1", "windows", 2000)
    progress.advance(1000)
    assert capsys.readouterr().err == ""  # a line each half minute, and one at the end
    progress.finish("done", "nothing to do: all is there")
    line = capsys.readouterr().err
    assert line.startswith("predict m1: 1,000/2,000 windows")
    assert line.endswith("nothing to do: all is there\n")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress("predict", "m1", "windows", 100)
    progress.advance(50)
    progress.finish("done")
    shown = capsys.readouterr().err
    assert "[############............] 50/100 windows" in shown
    assert shown.endswith("\n")


def test_nothing_to_do_has_no_rate() -> None:
    state = Progress("predict", "m1", "windows", 0).snapshot("done")
    assert (state.done, state.total, state.rate) == (0, 0, None)
