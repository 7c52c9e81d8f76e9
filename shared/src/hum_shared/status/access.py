"""Who may ask: on which addresses the server listens, and what a request must carry."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from hum_shared.errors import InputError, MachineError
from hum_shared.files import read_text

_ENDLESS_PATHS = frozenset({"/api/events"})
OPEN_PATHS = frozenset({"/healthz"})  # says nothing but that the server is up

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token; chmod 600 token"
_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]  # fmt: skip


def read_token(path: Path) -> str:
    """Return the token in a file: its text without blanks around it.

    Raises
    ------
    InputError
        When it cannot be read, is empty, or could not be sent in a header.
    """
    token = read_text(path).strip()
    if not token:
        raise InputError(f"{path}: holds no token. Make one: {_MAKE_ONE}")
    if re.fullmatch(r"[\x21-\x7e]+", token) is None:
        raise InputError(f"{path}: a token is one word of plain ASCII characters. Make one: {_MAKE_ONE}")
    return token


def listen(host: str, port: int, *, has_token: bool) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises
    ------
    InputError
        When the address is unknown, not allowed, or others can reach it and there is no token.
    MachineError
        When the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(f"--host {host}: no such address on this machine. The default is 127.0.0.1.") from None
    if not has_token and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise InputError(
            f"--host {host}: others can reach this address, so it needs --token-file. Make one: {_MAKE_ONE}"
        )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1024)
    except PermissionError:
        sock.close()
        raise InputError(f"--port {port}: only root may listen there. Use one from 1024 to 65535.") from None
    except OSError as error:
        sock.close()
        raise MachineError(f"{host} port {port}: {error.strerror}. Use another port; 0 takes a free one.") from None
    return sock


class Access:
    """Lets requests through that may pass, and adds what keeps browsers careful to every answer.

    With a token every request must carry it: as ``Authorization: Bearer <token>`` or, since browsers ask for that
    by themselves, as the password of a basic authentication. It is never looked for in a URL, which would end up
    in logs and histories. Without one only requests that name this machine by a loopback name pass, so that no web
    page can reach the server through a name of its own that it lets point here (DNS rebinding).
    """

    def __init__(self, app: _App, token: str | None):
        self._app = app
        self._digest = None if token is None else _digest(token.encode())

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._digest is None:
            if not _is_loopback_name(headers.get(b"host", b"").decode("latin-1")):
                await _refuse(send_with_headers, 421, "this server answers to localhost only")
                return
        elif scope["path"] not in OPEN_PATHS and not self._knows(headers.get(b"authorization", b"")):
            await _refuse(send_with_headers, 401, "a token is needed: Authorization: Bearer <token>")
            return
        if scope["method"] == "HEAD" and scope["path"] not in _ENDLESS_PATHS:
            scope = {**scope, "method": "GET"}  # the server sends the head alone, as it was asked to
        await self._app(scope, receive, send_with_headers)

    def _knows(self, authorization: bytes) -> bool:
        scheme, _, value = authorization.strip().partition(b" ")
        given = value.strip()
        if scheme.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != b"bearer":
            return False
        return self._digest is not None and hmac.compare_digest(_digest(given), self._digest)


def _digest(token: bytes) -> bytes:
    # Digests are of one length, so that the time of a comparison does not even tell the token's.
    return hashlib.sha256(token).digest()


def _is_loopback_name(host: str) -> bool:
    name = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?", host)
    if name is None:
        return False
    if name[1].lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name[1].strip("[]")).is_loopback
    except ValueError:
        return False


async def _refuse(send: _Send, status: int, detail: str) -> None:
    body = f'{{"detail":"{detail}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="hum status: the token is the password", charset="UTF-8"'))
        headers.append((b"www-authenticate", b'Bearer realm="hum status"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
