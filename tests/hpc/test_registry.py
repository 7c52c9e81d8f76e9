"""Images on a base from a container registry, which is one of our own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from support.image_registry import image_registry
from support.images import ROOT, Images

# What the base brought: nothing of ours, and nothing of what Apptainer puts into every image.
BASE_FOLDERS = (
    "bin", "boot", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "root", "sbin", "srv", "tmp", "usr", "var",
)  # fmt: skip


def test_a_base_comes_from_the_registry_by_its_digest(images: Images) -> None:
    with tempfile.TemporaryDirectory(prefix="hum registry ", dir="/var/tmp") as folder:
        root_files = Path(folder) / "root.tar"
        with root_files.open("wb") as file:
            packing = ("tar", "-C", "/", "--exclude=opt/hum", "-c", *BASE_FOLDERS)
            subprocess.run(images.command("evaluator", *packing, as_self=True), stdout=file, check=True)
        with image_registry("library/python", "3.11-slim", root_files) as (image, digest):
            env = {
                "BASE": "registry",
                "BASE_IMAGE": image,
                "IMAGES": f"{folder}/images",
                "IMAGE_CACHE": f"{folder}/cache",
                "APPTAINER_CACHEDIR": f"{folder}/blobs",
                "APPTAINER_NOHTTPS": "true",
            }
            _output([ROOT / "containers/build", "evaluator"], {**os.environ, **env})
        made = f"{folder}/images/evaluator.sif"
        labels = _output(["apptainer", "inspect", "--labels", made])
        assert f"org.opencontainers.image.base.name: {image}\n" in labels
        assert f"org.opencontainers.image.base.digest: {digest}\n" in labels
        assert "Usage: hum-evaluator" in _output(["apptainer", "--quiet", "run", made, "--help"])


def _output(command: list[str | Path], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
