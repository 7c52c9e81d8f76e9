"""`make upload` over a real ssh, to an sshd of its own on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.private_cluster import ROOT, USER, PrivateCluster
from support.ssh_server import SshServer

NAME = """it's a "tape" $HOME ü.v1.wav"""
SIZE = 48_000_000


@pytest.fixture(scope="module")
def server(cluster: PrivateCluster) -> Iterator[SshServer]:
    """An sshd of the cluster's user, stopped when the module is done."""
    running = SshServer(cluster)
    yield running
    running.stop()


@pytest.fixture
def checkout(cluster: PrivateCluster, server: SshServer, tmp_path: Path) -> Path:
    """A folder in which `make upload` works as in the project's, with a recording to upload."""
    folder = cluster.home / tmp_path.name
    folder.mkdir()
    for name in ("Makefile", "slurm"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "my corpus").mkdir()
    (folder / "my corpus" / NAME).write_bytes(os.urandom(SIZE))
    (folder / "far").mkdir()
    # Compressed noise is sent slowly enough to be interrupted in the middle.
    (folder / ".env.upload").write_text(
        f"UPLOAD_HOST={USER}@cluster\nUPLOAD_DIR={folder}/far\nUPLOAD_SSH=ssh -C -F {server.client_config}\n"
    )
    return cluster.give(folder)


def upload(cluster: PrivateCluster, folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return cluster.run("make", "upload", "SRC=my corpus", *settings, cwd=folder)


def test_a_dry_run_shows_what_would_be_copied_and_copies_nothing(cluster: PrivateCluster, checkout: Path) -> None:
    shown = upload(cluster, checkout, "DRY_RUN=1")
    assert shown.returncode == 0, shown.stderr
    assert "tape" in shown.stdout
    assert list((checkout / "far").iterdir()) == []


def test_an_upload_that_broke_off_goes_on_where_it_stopped(
    cluster: PrivateCluster, server: SshServer, checkout: Path
) -> None:
    sent, arrived = checkout / "my corpus" / NAME, checkout / "far/my corpus" / NAME
    first = subprocess.Popen(
        cluster.user_command("make", "upload", "SRC=my corpus", cwd=checkout),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
    )  # fmt: skip
    under_way = wait_for(lambda: [path for path in arrived.parent.glob(".it*") if path.stat().st_size > SIZE // 10])
    assert under_way, first.communicate(timeout=20)
    for connection in server.connections():
        os.kill(connection, signal.SIGKILL)
    said, _ = first.communicate(timeout=60)
    assert first.returncode != 0, said
    assert not arrived.exists()
    kept = arrived.parent / ".rsync-partial" / NAME
    assert wait_for(kept.exists), said

    again = upload(cluster, checkout)
    assert again.returncode == 0, again.stderr
    assert arrived.read_bytes() == sent.read_bytes()
    matched = re.search(r"Matched data: ([\d.]+)M bytes", again.stdout)
    assert matched, again.stdout
    assert float(matched[1]) * 1e6 > SIZE / 20
    assert not kept.exists()


def wait_for(condition: object, timeout_s: float = 30) -> object:
    """Return what a condition is once it holds; falsy when it does not in time."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return found
