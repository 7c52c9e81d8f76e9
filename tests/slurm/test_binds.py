from __future__ import annotations

from pathlib import Path

from hum_shared.layout import Workspace
from hum_slurm.binds import read_only_folders, written_folders
from support.slurm_workspace import stand_in_rows

WORKSPACE = Workspace(Path("/w"), {"big": Path("/big")})


def test_only_what_lies_outside_the_workspace_is_bound() -> None:
    row = stand_in_rows("0")[0].model_copy(
        update={"inputs": ["a", "{big}/x y", "/z/*/t.wav", "/w/b", "{big}/x y"], "outputs": ["c", "{big}/o/m.pk"]}
    )
    assert read_only_folders([row], WORKSPACE) == [Path("/big/x y"), Path("/z")]
    assert written_folders([row], WORKSPACE) == [Path("/big/o")]
