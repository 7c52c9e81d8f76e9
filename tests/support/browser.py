"""A real Chromium without a window, driven through its DevTools protocol over a pipe: no other library is needed.

Tests that use it skip with a reason where no Chromium is installed, and fail there in CI (CI_STAGE_BROWSER=1).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)


class Page:
    """One page of a browser; made by :func:`open_browser`.

    Attributes
    ----------
    requests
        URL of everything the page asked for, in order; `data:` and `blob:` are no requests.
    problems
        Errors of scripts, failed loads, and what the page logged as an error.
    """

    def __init__(self, process: subprocess.Popen[bytes], to_browser: int, from_browser: int) -> None:
        self._process, self._to, self._from = process, to_browser, from_browser
        self._last_id = 0
        self._unread = b""
        self._session: str | None = None
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, *, timeout_s: float = 30, **params: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._to, content) :]
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])

    def open(self, url: str | Path, timeout_s: float = 30) -> None:
        """Open a URL or a file and wait until it is loaded."""
        address = url.absolute().as_uri() if isinstance(url, Path) else url
        self._loaded = False
        answer = self.call("Page.navigate", url=address)
        if "errorText" in answer:
            raise AssertionError(f"{address}: {answer['errorText']}")
        deadline = time.monotonic() + timeout_s
        while not self._loaded:
            self._next(deadline, f"loading {address}")

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression (awaited if it is a promise)."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script[:80]}: {answer['exceptionDetails'].get('exception', answer)}")
        return answer["result"].get("value")

    def wait_for(self, script: str, timeout_s: float = 15) -> Any:
        """Ask a JavaScript expression until it is true; return its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.run(script)):
            if time.monotonic() > deadline:
                raise AssertionError(f"still not true after {timeout_s} s: {script}; problems: {self.problems}")
            time.sleep(0.1)
        return value

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Press and release a key, for example ``press("Tab", 9)``."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def colour_scheme(self, scheme: str) -> None:
        """Make the page believe that the person prefers `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def size(self, width: int, height: int = 900, scale: float = 1) -> None:
        """Set the size of the window in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def screenshot(self, path: Path, selector: str | None = None, *, whole: bool = False) -> Path:
        """Save a PNG of what is in view, of one element, or of the whole page."""
        params: dict[str, Any] = {}
        if selector or whole:
            box = self.run(
                f"(() => {{const r = document.querySelector({json.dumps(selector or 'html')}).getBoundingClientRect();"
                "return [r.left + scrollX, r.top + scrollY, r.width, r.height]})()"
            )
            clip = dict(zip(("x", "y", "width", "height"), box, strict=True), scale=1)
            params = {"clip": clip, "captureBeyondViewport": True}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **params)["data"]))
        return path

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._from, 1 << 16) if ready else b""
            if not part:
                state = "ended" if self._process.poll() is not None else "gives no answer"
                raise AssertionError(f"Chromium {state}: {what}")
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        self._note(parsed.get("method", ""), parsed.get("params", {}))
        return parsed

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("data:", "blob:")):
                self.requests.append(url)
        elif event == "Network.loadingFailed" and not params.get("canceled"):
            self.problems.append(f"loading failed: {params.get('errorText')}")
        elif event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description", details.get("text"))))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event == "Page.loadEventFired":
            self._loaded = True


def chromium() -> str:
    """Return the path of Chromium; skip the test where there is none, or fail it in CI."""
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    reason = f"no Chromium ({', '.join(_PROGRAMS)}) on this machine; .ci/install-chromium installs Debian's"
    if os.environ.get("CI_STAGE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def open_browser() -> Iterator[Page]:
    """Yield an empty page of a Chromium with a fresh profile; the browser ends with the block."""
    program = chromium()
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="hum-chromium-", ignore_cleanup_errors=True) as profile:
        # Chromium reads commands from descriptor 3 and answers on 4.
        line = f'exec 3<&{to_browser[0]} 4>&{from_browser[1]}; exec "$@"'
        command = ["bash", "-c", line, "chromium", program, *_OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            command,
            pass_fds=(to_browser[0], from_browser[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": profile, "TMPDIR": profile, "TZ": "UTC", "LANG": "C.UTF-8"},
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Page(process, to_browser[1], from_browser[0])
        finally:
            os.close(to_browser[1])
            os.close(from_browser[0])
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
