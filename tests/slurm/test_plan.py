from __future__ import annotations

from pathlib import Path

import pytest

from hum_shared.errors import InputError
from hum_slurm.plan import Plan


def test_files_that_hold_their_text_already_are_left_alone(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_text("a")
    other.write_text("b")
    before = same.stat().st_ino
    assert Plan(files={same: "a", other: "a"}).write() == [other]
    assert (same.stat().st_ino, other.read_text()) == (before, "a")


def test_a_folder_in_the_way_of_a_file_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        Plan(files={tmp_path / "file": "new"}).write()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_suggested_commands_are_quoted_for_a_shell() -> None:
    plan = Plan()
    plan.suggest("bash", Path("/it's $HOME"))
    assert plan.next_steps == ["""bash '/it'"'"'s $HOME'"""]
