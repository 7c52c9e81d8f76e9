from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hum_shared.layout import Workspace
from support.slurm_workspace import HOSTILE, make_workspace, read_rows, stand_in_rows, write_manifest

COMMANDS = ["training", "benchmark", "evaluation", "rf", "cutouts", "run", "submit", "status", "retry-failed"]


def hum_slurm(*arguments: str, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from hum_slurm.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **({} if path is None else {"PATH": path})},
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(tmp_path: Path, command: str) -> None:
    shown = hum_slurm(command, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert f"Example: hum-slurm {command}" in " ".join(shown.stdout.split())


def test_the_factories_write_a_whole_chain_before_anything_has_run(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / HOSTILE, "dataset_a")
    for arguments in (
        ["training", "--data_root", "data/train"],
        ["benchmark", "--corpus-root", "data/bench", "--max-concurrent", "3"],
        ["evaluation"],
        ["rf"],
        ["cutouts", "--stage", "postrf"],
    ):
        ran = hum_slurm(*arguments, cwd=root)
        assert ran.returncode == 0, ran.stderr
    written = {path.name for path in (root / "BENCHMARK/jobs").glob("*.manifest.jsonl")}
    assert written == {
        f"{name}.manifest.jsonl" for name in ("predict", "evaluate", "rf", "rf-train", "compare", "cutouts")
    }
    again = hum_slurm("training", "--data-root", "data/train", cwd=root)
    assert again.stdout.startswith("nothing to do: all 3 files are up to date\n")


def test_paths_of_options_are_relative_to_the_current_folder(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    ran = hum_slurm("training", "--workspace", "../w", "--data-root", "data/train", cwd=root)
    assert ran.returncode == 0, ran.stderr
    assert read_rows(root / "TRAINING/jobs/train.manifest.jsonl")[0]["inputs"][1] == "data/train/dataset_a"


def test_a_stage_without_manifest_ends_2_and_names_its_factory(tmp_path: Path) -> None:
    ran = hum_slurm("run", "rf", "--executor", "local", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.endswith("rf.manifest.jsonl: not there yet. Run hum-slurm rf first.\n")
    assert "Traceback" not in ran.stderr


def test_a_stage_of_a_set_without_manifest_names_its_factory_with_the_set(tmp_path: Path) -> None:
    for command in (["run", "evaluate", "--executor", "local"], ["retry-failed", "evaluate"]):
        ran = hum_slurm(*command, "--set", "s1", cwd=tmp_path)
        assert (ran.returncode, "Run hum-slurm evaluation --set s1 first." in ran.stderr) == (2, True)


def test_an_unknown_stage_lists_the_stages(tmp_path: Path) -> None:
    ran = hum_slurm("run", "trian", "--executor", "local", cwd=tmp_path)
    assert ran.returncode == 2
    assert "rf-train" in ran.stderr


def test_training_has_no_sets(tmp_path: Path) -> None:
    ran = hum_slurm("run", "train", "--executor", "local", "--set", "field", cwd=tmp_path)
    assert (ran.returncode, "train has no sets" in ran.stderr) == (2, True)


@pytest.mark.parametrize("numbers", ["7", "x", "2-1", ""])
def test_rows_that_are_not_there_end_2(tmp_path: Path, numbers: str) -> None:
    write_manifest(Workspace(tmp_path).benchmark().jobs, stand_in_rows("0"))
    ran = hum_slurm("run", "evaluate", "--executor", "local", "--only", numbers, cwd=tmp_path)
    assert ran.returncode == 2
    assert "--only" in ran.stderr


def test_slurm_without_sbatch_ends_1(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    hum_slurm("training", "--data-root", "data/train", cwd=root)
    ran = hum_slurm("run", "train", "--executor", "slurm", cwd=root, path="/nonexistent")
    assert ran.returncode == 1
    assert "this is no Slurm login node" in ran.stderr


def test_torch_and_the_services_are_never_imported(tmp_path: Path) -> None:
    code = (
        "import sys, hum_slurm.cli; "
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'numpy') or name in "
        "('hum_trainer', 'hum_predictor', 'hum_evaluator', 'hum_rf_filter')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
