"""The look-up of a base image's digest, against a registry that asks for a token as the public ones do."""

import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "containers" / "registry_digest.py"
DIGEST = "sha256:" + "ab" * 32


class _Registry(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        if self.headers.get("Authorization") != "Bearer given":
            place = f"http://127.0.0.1:{self.server.server_port}/token"
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="{place}",service="hub",scope="repository:x:pull"')
        elif self.path == "/v2/library/python/manifests/3.11-slim" and "oci.image.index" in self.headers["Accept"]:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST)
        elif self.path.endswith("/manifests/mute"):
            self.send_response(200)
        else:
            self.send_response(404)
        self.end_headers()

    def do_GET(self):
        assert self.path == "/token?service=hub&scope=repository%3Ax%3Apull"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "given"}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    """A registry on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(image):
    return subprocess.run([sys.executable, SCRIPT, image], capture_output=True, text=True, check=False)


def test_the_digest_is_what_the_registry_says(host):
    done = ask(f"{host}/library/python:3.11-slim")
    assert (done.returncode, done.stdout) == (0, DIGEST + "\n"), done.stderr


@pytest.mark.parametrize("image", ["library/python:none", "library/python:mute"])
def test_an_image_without_a_digest_ends_1_in_one_line(host, image):
    done = ask(f"{host}/{image}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{host}/{image}" in done.stderr


@pytest.mark.parametrize("image", ["python", "127.0.0.1:1/python:3"])
def test_no_such_registry_ends_1_in_one_line(image):
    done = ask(image)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
