"""The scripts that build, test and sign images: what they refuse, and their form."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CONTAINERS = Path(__file__).parents[2] / "containers"
MACHINE = CONTAINERS.parent / "tests" / "hpc" / "machine"


def stand_in(folder, text="exit 0"):
    """A PATH on which `apptainer` is a script."""
    folder.mkdir()
    (folder / "apptainer").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "apptainer").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def call(script, *arguments, **env):
    return subprocess.run(
        [CONTAINERS / script, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_every_script_passes_shellcheck():
    folders = [path for folder in (CONTAINERS, MACHINE) for path in folder.iterdir()]
    scripts = [path for path in folders if path.is_file() and path.suffix == ""]
    assert len(scripts) >= 9
    done = subprocess.run(["shellcheck", "--external-sources", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(Path("/usr/bin/apptainer").exists(), reason="this machine has an Apptainer")
@pytest.mark.parametrize("script", ["build", "test", "sign"])
def test_without_apptainer_they_say_how_to_get_one(script):
    done = call(script, PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no apptainer on PATH" in done.stderr


def test_an_unknown_service_is_named_with_the_known_ones(tmp_path):
    done = call("build", "trainer", "listener", PATH=stand_in(tmp_path / "bin"), IMAGES=str(tmp_path / "images"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "'listener'" in done.stderr
    assert "trainer predictor evaluator rf_filter" in done.stderr
    assert not (tmp_path / "images").exists()


def test_an_image_that_changed_is_not_tested(tmp_path):
    images = tmp_path / "my $images 'ü'"
    images.mkdir()
    (images / "trainer.sif").write_text("new")
    (images / "SHA256SUMS").write_text(f"{'0' * 64}  trainer.sif\n")
    done = call("test", PATH=stand_in(tmp_path / "bin"), IMAGES=str(images))
    assert done.returncode == 1
    assert "differ from" in done.stderr


def test_a_signature_that_fails_leaves_the_image_as_it_was(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "trainer.sif").write_text("unsigned")
    path = stand_in(tmp_path / "bin", 'echo x >>"$(printf %s "$*" | sed "s/.* //")"; [ "$1" != verify ]')
    done = call("sign", PATH=path, IMAGES=str(images))
    assert done.returncode == 1
    assert {entry.name: entry.read_text() for entry in images.iterdir()} == {"trainer.sif": "unsigned"}


def test_a_mirror_that_is_named_is_used():
    assert call("mirror", DEBIAN_MIRROR="http://127.0.0.1/debian").stdout == "http://127.0.0.1/debian\n"
