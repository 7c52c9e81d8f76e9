"""Who may ask."""

import base64
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from hum_shared.errors import InputError, MachineError
from hum_shared.status.access import listen, read_token
from hum_shared.status.server import url
from support.status_workspace import Client, status_server

TOKEN = "correct-horse-battery-staple"


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with status_server(tmp_path_factory.mktemp("guarded"), TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with status_server(tmp_path_factory.mktemp("unguarded")) as client:
        yield client


def status_of(client: Client, path: str, **headers: str) -> int:
    try:
        with client.open(path, **headers) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (basic(TOKEN), 200),
        ("", 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer ", 401),
        (f"Digest {TOKEN}", 401),
        (basic("wrong"), 401),
        (basic(""), 401),
        ("Basic not base64 at all", 401),
        ("Basic ÄÖÜ", 401),
    ],
)
def test_a_request_must_carry_the_token(guarded: Client, authorization: str, status: int) -> None:
    for path in ("/", "/api/tasks", "/api/events?x=1"):
        assert status_of(guarded, path, Authorization=authorization) == status


def test_everything_but_the_health_needs_the_token(guarded: Client) -> None:
    assert guarded.json("/healthz") == {"status": "ok"}
    paths = ["/", "/api/stages", "/api/tasks", "/api/tasks/a/b", "/api/runs", "/api/runs/a/b", "/api/events"]
    for path in [*paths, "/metrics", "/openapi.json", "/static/status.js", "/tasks/a", "/nowhere", "//healthz"]:
        assert status_of(guarded, path) == 401, path


def test_a_token_in_the_url_opens_nothing(guarded: Client) -> None:
    for query in (f"token={TOKEN}", f"access_token={TOKEN}", f"key={TOKEN}"):
        assert status_of(guarded, f"/api/tasks?{query}") == 401


def test_who_is_refused_is_told_what_to_carry_and_not_the_token(guarded: Client) -> None:
    status, said = guarded.refused("/api/tasks")
    assert status == 401
    assert "www-authenticate: Basic " in said
    assert "Authorization: Bearer" in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8642", 200),
        ("127.8.9.1:80", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("10.0.0.1:8642", 421),
        ("[::1", 421),
    ],
)
def test_without_a_token_only_loopback_names_are_answered(unguarded: Client, host: str, status: int) -> None:
    assert status_of(unguarded, "/api/tasks", Host=host) == status


def test_answers_tell_browsers_to_be_careful(unguarded: Client) -> None:
    with unguarded.open("/") as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "255.255.255.255", "::ffff:127.0.0.1"])
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(InputError, match=r"--token-file|no such address"):
        listen(host, 0, has_token=False).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_loopback_address_needs_none(host: str) -> None:
    with listen(host, 0, has_token=False) as sock:
        assert url(sock).startswith("http://")


def test_an_unknown_address_is_an_error() -> None:
    with pytest.raises(InputError, match="no such address"):
        listen("no such host", 0, has_token=True)


def test_a_port_that_is_taken_is_an_error() -> None:
    with listen("127.0.0.1", 0, has_token=False) as sock, pytest.raises(MachineError, match="another port"):
        listen("127.0.0.1", sock.getsockname()[1], has_token=False)


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "it's a token $1"
    path.write_text(f"  {TOKEN}\r\n")
    assert read_token(path) == TOKEN


@pytest.mark.parametrize("text", ["", "\n", "two words", "schlüssel"])
def test_a_token_that_could_not_be_sent_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    path.chmod(stat.S_IRUSR)
    with pytest.raises(InputError, match="Make one"):
        read_token(path)


def test_a_missing_token_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_token(tmp_path / "token")
