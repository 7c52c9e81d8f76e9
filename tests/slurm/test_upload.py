from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.slurm_workspace import executable

SCRIPT = Path(__file__).parents[2] / "slurm" / "upload.sh"
NAME = """it's a "tape" $HOME ü.wav"""

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


def upload(folder: Path, *arguments: str, settings: str) -> subprocess.CompletedProcess[str]:
    """Upload through a stand-in for ssh that runs the remote command here."""
    executable(folder / "ssh-here", '#!/bin/bash\necho "$1 $2 $3" >>ssh.log; shift 3; exec sh -c "$*"\n')
    (folder / ".env.upload").write_text(settings)
    return subprocess.run(
        [str(SCRIPT), *arguments], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )


def settings_for(folder: Path) -> str:
    (folder / "remote").mkdir()
    return f"# where to\nUPLOAD_HOST=me@cluster\nUPLOAD_DIR={folder}/remote\nUPLOAD_SSH={folder}/ssh-here\n"


def make_source(folder: Path) -> Path:
    (folder / "my corpus").mkdir()
    (folder / "my corpus" / NAME).write_bytes(b"sound" * 1000)
    return folder / "my corpus"


def test_a_folder_arrives_under_its_own_name(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    done = upload(tmp_path, "my corpus/", settings=settings_for(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "remote/my corpus" / NAME).read_bytes() == (source / NAME).read_bytes()
    assert (tmp_path / "ssh.log").read_text() == "-l me cluster\n"


def test_a_dry_run_names_the_files_and_copies_none(tmp_path: Path) -> None:
    make_source(tmp_path)
    done = upload(tmp_path, "my corpus", "dry-run", settings=settings_for(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "tape" in done.stdout
    assert list((tmp_path / "remote").iterdir()) == []


def test_a_recording_that_changed_is_copied_again_also_when_it_is_as_long(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    settings = settings_for(tmp_path)
    upload(tmp_path, "my corpus", settings=settings)
    (source / NAME).write_bytes(b"SOUND" * 1000)
    os.utime(source / NAME, (1, 1))
    assert upload(tmp_path, "my corpus", settings=settings).returncode == 0
    assert (tmp_path / "remote/my corpus" / NAME).read_bytes() == b"SOUND" * 1000


@pytest.mark.parametrize(
    ("settings", "said"),
    [("UPLOAD_HOST=me@cluster\n", "UPLOAD_DIR is not set"), ("UPLOAD_HOTS=x\n", "unknown setting UPLOAD_HOTS")],
)
def test_a_missing_or_unknown_setting_is_named(tmp_path: Path, settings: str, said: str) -> None:
    make_source(tmp_path)
    done = upload(tmp_path, "my corpus", settings=settings)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = upload(tmp_path, "nowhere", settings=settings_for(tmp_path))
    assert (done.returncode, "nowhere: no such file or folder" in done.stderr) == (2, True)
