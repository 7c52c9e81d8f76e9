from __future__ import annotations

from pathlib import Path

from hum_shared.layout import Workspace
from hum_slurm.binds import read_paths, written_folders
from support.slurm_workspace import stand_in_rows

WORKSPACE = Workspace(Path("/w"), {"big": Path("/big")})
ROW = stand_in_rows("0")[0].model_copy(
    update={
        "inputs": ["a", "{big}/x y", "/z/*/t.wav", "/w/b", "{big}/x y"],
        "outputs": ["c/index.json", "{big}/o/m.pk"],
        "state": ["checkpoints"],
    }
)


def test_what_the_rows_read_is_named_once_and_a_pattern_by_its_folder() -> None:
    assert read_paths([ROW, ROW], WORKSPACE) == [Path("/big/x y"), Path("/w/a"), Path("/w/b"), Path("/z")]


def test_folders_of_outputs_state_and_progress_are_written_to() -> None:
    folders = [Path("/big/o"), Path("/w/c"), Path("/w/checkpoints"), Path("/w/progress/evaluate")]
    assert written_folders([ROW], WORKSPACE) == folders
