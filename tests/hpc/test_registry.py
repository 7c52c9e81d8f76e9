"""Images on a base from a container registry, which is one of our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.image_registry import image_registry
from support.images import ROOT, Images


def test_a_base_comes_from_the_registry_by_its_digest(images: Images, tmp_path: Path) -> None:
    files = tmp_path / "root.tar"
    of_the_base = ("bin", "etc", "lib", "lib64", "sbin", "usr", "root", "tmp", "var")  # what is ours lies in /opt
    with files.open("wb") as file:
        command = images.command("evaluator", "tar", "-C", "/", "-c", *of_the_base, as_self=True)
        subprocess.run(command, stdout=file, check=True)
    with image_registry("library/python", "3.11-slim", files) as (image, digest):
        env = {"BASE": "registry", "BASE_IMAGE": image, "APPTAINER_NOHTTPS": "true"}
        folders = {"IMAGES": str(tmp_path / "images"), "IMAGE_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(
            [ROOT / "containers/build", "evaluator"],
            env={**os.environ, **env, **folders},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = subprocess.run(
        ["apptainer", "inspect", "--labels", tmp_path / "images/evaluator.sif"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"org.opencontainers.image.base.name: {image}\n" in shown.stdout
    assert f"org.opencontainers.image.base.digest: {digest}\n" in shown.stdout
    ran = subprocess.run(
        ["apptainer", "--quiet", "run", tmp_path / "images/evaluator.sif", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: hum-evaluator" in ran.stdout
