import pytest

from hum_shared.errors import MachineError
from hum_trainer.swapping import remove_leftovers, replaced_folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_complete_folder_replaces_the_old_one(tmp_path):
    target = tmp_path / "dataset_ö $x"
    target.mkdir()
    (target / "old").write_text("")
    with replaced_folder(target) as new:
        (new / "new").write_text("")
        assert files(target) == ["old"]
    assert files(tmp_path) == [f"{target.name}/new"]


def fail_in(target, error):
    with replaced_folder(target) as new:
        (new / "new").write_text("")
        raise error


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path):
    target = tmp_path / "d"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(KeyboardInterrupt):
        fail_in(target, KeyboardInterrupt())
    assert files(tmp_path) == ["d/old"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".d.new").mkdir()
    (tmp_path / ".d.new" / "rest").write_text("")
    with replaced_folder(tmp_path / "d") as new:
        assert files(new) == []
    assert files(tmp_path) == []


def test_the_old_folder_of_a_run_killed_while_swapping_is_put_back(tmp_path):
    (tmp_path / ".d.old").mkdir()
    (tmp_path / ".d.old" / "old").write_text("")
    with pytest.raises(RuntimeError):
        fail_in(tmp_path / "d", RuntimeError())
    assert files(tmp_path) == ["d/old"]


def test_two_runs_do_not_make_the_same_folder(tmp_path):
    with (
        replaced_folder(tmp_path / "d"),
        pytest.raises(MachineError, match="another process"),
        replaced_folder(tmp_path / "d"),
    ):
        pass
    assert files(tmp_path) == []
    assert (tmp_path / "d").is_dir()


def test_what_a_run_left_that_was_killed_at_its_very_end_is_removed(tmp_path):
    for name in ("d", ".d.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    remove_leftovers(tmp_path / "d")
    assert files(tmp_path) == ["d/file"]
