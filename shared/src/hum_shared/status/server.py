"""Running the application: in the foreground until a signal comes, or beside a task until it ends."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

_STOP_WITHIN_S = 3


class StatusServer(uvicorn.Server):
    """A server that ends its event streams when it is told to stop, and ends well then."""

    def __init__(self, app: FastAPI):
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                ws="none",
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_WITHIN_S,
            )
        )
        self._watcher = app.state.watcher

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT while the block runs; uvicorn itself would then die of the signal."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop soon; at once when told a second time."""
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Stop soon; may be called from any thread."""
        self.should_exit = True
        self._watcher.close_soon()


@contextmanager
def serving(app: FastAPI, sock: socket.socket) -> Iterator[None]:
    """Serve in a thread while the block runs."""
    server = StatusServer(app)
    thread = threading.Thread(target=server.run, args=([sock],), name="status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(_STOP_WITHIN_S + 2)


def url(sock: socket.socket) -> str:
    """Return the address a socket listens on, as a person types it."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
