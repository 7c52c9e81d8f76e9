"""An sshd on the loopback address, run by a private cluster's user with throw-away keys."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from support.private_cluster import USER, PrivateCluster, free_port

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
UsePAM no
PasswordAuthentication no
StrictModes no
"""
_CLIENT = """\
Host cluster
HostName 127.0.0.1
Port {port}
IdentityFile {folder}/user
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
StrictHostKeyChecking yes
BatchMode yes
"""


class SshServer:
    """A running sshd; ``ssh -F`` :attr:`client_config` ``cluster`` logs in.

    Attributes
    ----------
    client_config
        The client's settings, with its key and the server's.
    """

    def __init__(self, cluster: PrivateCluster):
        self._cluster = cluster
        folder = cluster.home / "sshd"
        folder.mkdir(mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        port = free_port()
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
        (folder / "sshd_config").write_text(_SERVER.format(port=port, folder=folder))
        self.client_config = folder / "ssh_config"
        self.client_config.write_text(_CLIENT.format(port=port, folder=folder))
        cluster.give(folder)
        program = shutil.which("sshd") or "/usr/sbin/sshd"  # it wants its full path
        self._sshd = subprocess.Popen(
            cluster.user_command(program, "-D", "-E", folder / "log", "-f", folder / "sshd_config"), cwd="/"
        )
        deadline = time.monotonic() + 20
        while not _answers(port):
            if self._sshd.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not answer: {_text(folder / 'log')}")
            time.sleep(0.05)

    def connections(self) -> list[int]:
        """Return the ids of the processes that each serve one connection."""
        return self._cluster.processes(f"sshd: {USER}@notty")

    def stop(self) -> None:
        """End it and its connections."""
        self._cluster.run_as_root("kill", _text(self._cluster.home / "sshd" / "pid").strip())
        for process in self.connections():
            os.kill(process, signal.SIGKILL)
        self._sshd.wait(timeout=20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
