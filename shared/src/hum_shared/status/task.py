"""`--status-port`: a task serves its own status while it runs. May be imported without the extra."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hum_shared.command import say, warn
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import InputError, MachineError


@contextmanager
def own_status(port: int | None, cfg: Path, progress_file: Path | None) -> Iterator[Path | None]:
    """Serve the status of this process's task on the loopback address while the block runs.

    Parameters
    ----------
    port
        Where to listen; 0 takes a free one; None serves nothing.
    cfg
        The task's cfg: it tells the workspace, outside which nothing is read.
    progress_file
        Where the task is to keep its progress; without one it is kept in a temporary folder.

    Yields
    ------
    Path or None
        Where the task must keep its progress.

    Raises
    ------
    InputError
        When the extra is not installed, or the port is none that may be used. A port that is taken, by another
        task of the same array on this machine, is only warned about: the work matters more.
    """
    if port is None:
        yield progress_file
        return
    require_extra("--status-port")
    from hum_shared.status.access import listen
    from hum_shared.status.app import make_app
    from hum_shared.status.server import serving, url
    from hum_shared.status.snapshot import TaskSource

    try:
        sock = listen("127.0.0.1", port, has_token=False)
    except MachineError as error:
        warn(f"{error} The task runs without showing its status.")
        yield progress_file
        return
    with tempfile.TemporaryDirectory(prefix="hum-status-") as folder:
        file = progress_file or Path(folder) / "progress.json"
        with serving(make_app(TaskSource(file, workspace_of(cfg).root)), sock):
            say(f"status: {url(sock)}")
            yield file


def require_extra(needed_by: str) -> None:
    """Raise an error that names the extra unless what the status endpoint needs is installed.

    Raises
    ------
    InputError
        When something is missing.
    """
    missing = [name for name in ("fastapi", "jinja2", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{needed_by} needs {', '.join(missing)}: not installed. "
            "Install the extra hum-shared[status]: pip install 'hum-shared[status]'"
        )
