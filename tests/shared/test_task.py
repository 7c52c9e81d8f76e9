from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hum_shared.errors import InputError
from hum_shared.manifest import Row, format_manifest, manifest_digest
from hum_shared.task import run_task

CODE = "import os, sys; print(os.getcwd()); print(sys.argv[1:]); sys.exit(7)"


def write_task(workspace: Path) -> tuple[Path, str]:
    workspace.mkdir()
    (workspace / "workspace.toml").write_text('[roots]\nbig = "/big disk"\n')
    command = ["python", "-c", CODE, "it's $HOME", "{big}/ü"]
    text = format_manifest([Row(index=0, stage="rf", task="t", command=command, inputs=[], outputs=[])])
    manifest = workspace / "jobs" / "rf.manifest.jsonl"
    manifest.parent.mkdir()
    manifest.write_text(text)
    return manifest, manifest_digest(text)


def test_the_process_becomes_the_command_in_the_workspace(tmp_path: Path) -> None:
    manifest, digest = write_task(tmp_path / "it's $HOME")
    run = [sys.executable, "-m", "hum_shared.task", str(manifest), digest, "0"]
    ran = subprocess.run(run, capture_output=True, text=True, check=False, cwd="/")
    assert ran.returncode == 7
    assert ran.stdout.splitlines() == [str(tmp_path / "it's $HOME"), str(["it's $HOME", "/big disk/ü"])]


def test_a_changed_manifest_ends_2(tmp_path: Path) -> None:
    manifest, _ = write_task(tmp_path / "w")
    run = [sys.executable, "-m", "hum_shared.task", str(manifest), "0" * 64, "0"]
    ran = subprocess.run(run, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "has changed since this task was submitted" in ran.stderr


@pytest.mark.parametrize("arguments", [[], ["m", "d"], ["m", "d", "-1"], ["m", "d", "x"]])
def test_wrong_arguments_show_the_usage(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="usage: "):
        run_task(arguments)


def test_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    manifest, digest = write_task(tmp_path / "w")
    with pytest.raises(InputError, match="no row 1; it has rows 0 to 0"):
        run_task([str(manifest), digest, "1"])
