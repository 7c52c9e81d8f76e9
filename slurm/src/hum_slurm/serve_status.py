"""`hum-slurm serve-status`: the status of a workspace over HTTP, until a signal comes."""

from __future__ import annotations

import shlex
from pathlib import Path

from hum_shared.command import say, warn
from hum_shared.errors import InputError
from hum_shared.status.task import require_extra


def serve_status(root: Path, *, host: str, port: int, token_file: Path | None) -> None:
    """Serve a workspace's status until SIGTERM or Ctrl-C; reads and never writes.

    Parameters
    ----------
    root
        The workspace.
    host, port
        Where to listen; port 0 takes a free one. Addresses that others can reach need a token.
    token_file
        Holds what every request must carry; None for none.

    Raises
    ------
    InputError
        When there is no such workspace, the extra is not installed, or the address or the token is none.
    MachineError
        When the port is taken.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; --workspace wants the one that holds TRAINING/ and BENCHMARK/")
    require_extra("serve-status")
    from hum_shared.status.access import listen, read_token
    from hum_shared.status.app import make_app
    from hum_shared.status.server import StatusServer, url
    from hum_shared.status.snapshot import WorkspaceSource

    token = None if token_file is None else read_token(token_file)
    if token_file is not None and token_file.stat().st_mode & 0o077:
        command = shlex.join(["chmod", "600", "--", str(token_file)])
        warn(f"{token_file}: others may read the token. Keep it to yourself: {command}")
    with listen(host, port, has_token=token is not None) as sock:
        say(f"status of {root.resolve()}: {url(sock)} (stop with Ctrl-C)")
        StatusServer(make_app(WorkspaceSource(root), token)).run([sock])
