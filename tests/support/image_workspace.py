"""Workspaces whose tasks run out of the images; training and prediction ask for a GPU, be there one or not."""

from __future__ import annotations

import json

from support.cluster_workspace import ClusterWorkspace
from support.images import Images

_SITE = """\
runtime = "apptainer"
images = {images}

[job]
time = "00:10:00"
cpus = 1
memory = "2G"
signal_lead_s = 60

[stages.train]
gpu = "--gres=gpu:A100:1"
{device}

[stages.predict]
gpu = "--gres=gpu:A100:1"
{device}
"""


def image_site(images: Images, *, device: str | None = None) -> str:
    """Return a site file for the images; `device` is what its GPU stages must compute with."""
    folder = json.dumps(str(images.folder.resolve()))
    return _SITE.format(images=folder, device="" if device is None else f'device = "{device}"')


def with_images(workspace: ClusterWorkspace, images: Images, *, device: str | None = None) -> ClusterWorkspace:
    """Give a workspace such a site."""
    (workspace.root / "site.toml").write_text(image_site(images, device=device))
    settings = workspace.root / "workspace.toml"
    settings.write_text(settings.read_text().replace('"local-test"', '"site.toml"'))
    return workspace
