"""Print the digest that a container registry has for an image: `registry_digest.py docker.io/library/python:3.11-slim`.

Ends 1 with one line when the registry cannot be reached or does not know the image.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_HUB = {"docker.io": "registry-1.docker.io"}  # the one registry whose name is not its host
_TIMEOUT_S = 20


def digest(image: str) -> str:
    """Return ``sha256:…`` of `image`, given as ``host/name:tag``.

    Raises
    ------
    ValueError
        When `image` has another form, or the answer holds no digest.
    OSError
        When the registry does not answer, or not with this image.
    """
    parts = re.fullmatch(r"(?P<host>[^/]+)/(?P<name>.+):(?P<tag>[^:/]+)", image)
    if parts is None:
        raise ValueError(f"{image} is not of the form host/name:tag")
    host = _HUB.get(parts["host"], parts["host"])
    scheme = "http" if re.match(r"(localhost|127\.)", host) else "https"
    request = urllib.request.Request(
        f"{scheme}://{host}/v2/{parts['name']}/manifests/{parts['tag']}", headers={"Accept": _MANIFESTS}, method="HEAD"
    )
    try:
        answer = _open(request)
    except urllib.error.HTTPError as refused:
        if refused.code != http.client.UNAUTHORIZED:
            raise
        request.add_header("Authorization", f"Bearer {_token(refused.headers.get('WWW-Authenticate', ''))}")
        answer = _open(request)
    found: str = answer.headers.get("Docker-Content-Digest", "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        raise ValueError(f"the registry names no digest of {image}")
    return found


def _token(challenge: str) -> str:
    """Return the token for reading that a registry gives to anybody, from where its challenge says."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: fields[key] for key in ("service", "scope") if key in fields})
    with _open(urllib.request.Request(f"{fields.get('realm', '')}?{query}")) as answer:
        given = json.load(answer)
    return str(given.get("token") or given["access_token"])


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    return answer


if __name__ == "__main__":
    try:
        print(digest(sys.argv[1]))
    except (OSError, ValueError, KeyError) as problem:
        sys.exit(f"no digest of {sys.argv[1]}: {problem}")
