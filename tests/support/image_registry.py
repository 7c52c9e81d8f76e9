"""A container registry on this machine that holds one image, enough of the OCI distribution protocol to pull it."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@contextmanager
def image_registry(name: str, tag: str, root_files: Path) -> Iterator[tuple[str, str]]:
    """Serve an image made of one layer, over plain HTTP on a free port of the loopback address.

    Parameters
    ----------
    name, tag
        Of the image, without the registry's own name.
    root_files
        A tar archive of all files of the image.

    Yields
    ------
    tuple
        The image as ``host/name:tag``, and its digest.
    """
    with root_files.open("rb") as file:
        layer = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    config = _json(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer]}}
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER, "digest": layer, "size": root_files.stat().st_size}],
        }
    )
    manifests, blobs = f"/v2/{name}/manifests", f"/v2/{name}/blobs"
    content: dict[str, tuple[str, bytes | Path]] = {
        "/v2/": ("application/json", b"{}"),
        f"{manifests}/{tag}": (_MANIFEST, manifest),
        f"{manifests}/{_digest(manifest)}": (_MANIFEST, manifest),
        f"{blobs}/{_digest(config)}": (_CONFIG, config),
        f"{blobs}/{layer}": (_LAYER, root_files),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

        def _answer(self, *, with_body: bool) -> None:
            if self.path not in content:
                self.send_error(404)
                return
            media_type, body = content[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body) if isinstance(body, bytes) else body.stat().st_size))
            if isinstance(body, bytes):
                self.send_header("Docker-Content-Digest", _digest(body))
            self.end_headers()
            if with_body and isinstance(body, bytes):
                self.wfile.write(body)
            elif with_body and isinstance(body, Path):
                with body.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_port}/{name}:{tag}", _digest(manifest)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
