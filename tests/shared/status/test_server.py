"""How a server stops, and how a task shows its own status."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hum_shared.errors import InputError
from hum_shared.progress import track
from hum_shared.status.access import listen
from hum_shared.status.task import own_status, require_extra
from support.status_workspace import HOSTILE, Client, write_progress

PROGRAM = """
import sys
from pathlib import Path
from hum_shared.status.access import listen
from hum_shared.status.app import make_app
from hum_shared.status.server import StatusServer, url
from hum_shared.status.snapshot import WorkspaceSource
sock = listen("127.0.0.1", 0, has_token=False)
print(url(sock), flush=True)
StatusServer(make_app(WorkspaceSource(Path(sys.argv[1])))).run([sock])
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_its_open_streams(tmp_path: Path, number: signal.Signals) -> None:
    write_progress(tmp_path, "predict", "a")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = Client(process.stdout.readline().strip().rstrip("/"))
        streams = [client.open("/api/events") for _ in range(3)]
        for stream in streams:
            assert stream.readline() == b"retry: 3000\n"
        process.send_signal(number)
        said, errors = process.communicate(timeout=20)
        assert (process.returncode, said, errors) == (0, "stopped\n", "")
        for stream in streams:
            stream.read()
            stream.close()


def url_in(said: str) -> str:
    return said.partition("status: ")[2].split()[0].rstrip("/")


def test_a_task_shows_its_own_status_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "workspace.toml").write_text("")
    write_progress(tmp_path, "predict", "another")
    cfg, file = tmp_path / "cfg" / "predict.cfg", tmp_path / "progress" / "predict" / f"{HOSTILE.replace('/', '')}.json"
    with own_status(0, cfg, file) as kept_in:
        assert kept_in == file
        client = Client(url_in(capsys.readouterr().out))
        assert client.json("/api/tasks") == []
        with track("predict", HOSTILE, "windows", 100, kept_in) as progress:
            progress.advance(25, "a.wav")
            task = _wait_for(lambda: next(iter(client.json("/api/tasks?state=running")), {}), done=25)
            assert (task["id"], task["share"], task["message"]) == (f"predict/{HOSTILE}", 0.25, "a.wav")
        assert client.task(f"predict/{HOSTILE}")["state"] == "done"
        assert client.json("/api/runs") == []
        assert "&lt;img" in client.text("/")
    with pytest.raises(OSError, match="refused"):
        client.json("/healthz")


def test_a_task_without_a_progress_file_keeps_it_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with own_status(0, tmp_path / "x.cfg", None) as kept_in:
        assert kept_in is not None
        with track("predict", "x", "windows", 100, kept_in):
            assert Client(url_in(capsys.readouterr().out)).json("/api/stages")[0]["n_tasks"] == 1
    assert not kept_in.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_status_ends_with_a_task_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = []

    def work() -> None:
        with own_status(0, tmp_path / "x.cfg", None):
            urls.append(url_in(capsys.readouterr().out))
            assert Client(urls[0]).json("/healthz") == {"status": "ok"}
            raise InputError("bad")

    with pytest.raises(InputError, match="bad"):
        work()
    with pytest.raises(OSError, match="refused"):
        Client(urls[0]).json("/healthz")


def test_without_a_port_nothing_is_served(tmp_path: Path) -> None:
    with own_status(None, tmp_path / "x.cfg", None) as kept_in:
        assert kept_in is None


def test_a_task_whose_port_is_taken_works_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0, has_token=False) as sock:
        with own_status(sock.getsockname()[1], tmp_path / "x.cfg", tmp_path / "p.json") as kept_in:
            assert kept_in == tmp_path / "p.json"
        assert "The task runs without showing its status." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fastapi", "uvicorn", "jinja2"])
def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    named = pytest.raises(InputError, match=rf"--status-port needs {name}.*hum-shared\[status\]")
    with named, own_status(0, tmp_path / "x.cfg", None):
        raise AssertionError("the work must not begin")
    with pytest.raises(InputError, match=name):
        require_extra("serve-status")


def test_the_command_layer_does_not_load_the_extra() -> None:
    program = "import hum_shared.status.task, sys; print({'fastapi', 'uvicorn', 'jinja2'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"


def _wait_for(ask: Callable[[], dict[str, object]], **values: object) -> dict[str, object]:
    end = time.monotonic() + 20
    while True:
        found = ask()
        if found.items() >= values.items():
            return found
        assert time.monotonic() < end, f"{found} has not become {values}"
        time.sleep(0.02)
