"""`hum-slurm serve-status` as a person starts it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.status_workspace import HOSTILE, Client, write_progress

COMMAND = [str(Path(sys.executable).parent / "hum-slurm"), "serve-status"]


@contextmanager
def served(root: Path, *options: str) -> Iterator[Client]:
    command = [*COMMAND, "--workspace", str(root), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield Client(line.rpartition(": ")[2].split()[0].rstrip("/"))
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def refused(*options: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_workspace_is_served_until_a_signal_comes(tmp_path: Path) -> None:
    root = tmp_path / "it's a $HOME ü.v1"
    write_progress(root, "predict", HOSTILE)
    with served(root) as client:
        assert client.url.startswith("http://127.0.0.1:")
        assert [task["task"] for task in client.json("/api/tasks")] == [HOSTILE]


def test_with_a_token_others_may_ask(tmp_path: Path) -> None:
    token = tmp_path / "it's a token"
    token.write_text("a-long-and-secret-word\n")
    token.chmod(0o600)
    with served(tmp_path, "--token-file", str(token)) as client:
        assert client.refused("/api/tasks")[0] == 401
        assert client.json("/api/tasks", Authorization="Bearer a-long-and-secret-word") == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_for_others_needs_a_token(tmp_path: Path, host: str) -> None:
    code, said = refused("--workspace", str(tmp_path), "--host", host, "--port", "0")
    assert code == 2
    assert said.startswith(f"error: --host {host}: ")
    assert "--token-file" in said or "no such address" in said  # a machine without IPv6


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    code, said = refused("--workspace", str(tmp_path / "nowhere"))
    assert (code, said.count("\n")) == (2, 1)
    assert "no such folder" in said
    code, said = refused("--workspace", str(tmp_path), "--token-file", str(tmp_path / "nowhere"))
    assert (code, said.count("\n")) == (2, 1)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        port = client.url.rpartition(":")[2]
        code, said = refused("--workspace", str(tmp_path), "--port", port)
    assert code == 1
    assert f"port {port}" in said


def test_a_token_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    token = tmp_path / "my token"
    token.write_text("a-long-and-secret-word")
    token.chmod(0o644)
    command = [*COMMAND, "--workspace", str(tmp_path), "--port", "0", "--token-file", str(token)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "secret-word" not in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert errors.startswith("warning: ")
    assert f"chmod 600 -- '{token}'" in errors
    assert "secret-word" not in errors
