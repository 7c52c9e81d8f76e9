import errno
import hashlib
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared import files
from hum_shared.errors import InputError, MachineError
from support.full_disk import full_disk

HOSTILE = ["a b.txt", "it's.txt", 'say "moo".txt', "$HOME.txt", "Grün.tar.gz", "a.b.c.txt", "ü" * 120 + ".txt"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_appears_whole_under_any_name(tmp_path: Path, name: str) -> None:
    target = tmp_path / "new folder" / name
    with files.atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.suffix == target.suffix
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail() -> None:
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


_KILLED = """
import os, signal, sys
from pathlib import Path
from hum_shared import files
with files.atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path: Path, name: str) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    files.write_text(tmp_path / "other.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with files.atomic_path(tmp_path / "a.txt") as temporary:
        code = "import sys, pathlib, hum_shared.files as f; f.write_text(pathlib.Path(sys.argv[1]), '')"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.txt")], check=True)
        assert temporary.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(("age_s", "left"), [(3600, True), (2 * 24 * 3600, False)])
def test_what_another_machine_leaves_is_removed_when_old(tmp_path: Path, age_s: float, left: bool) -> None:
    foreign = tmp_path / ".a.txt.node7-4026531836-1234-abcd_123.part.txt"
    foreign.write_text("half")
    os.utime(foreign, (time.time() - age_s,) * 2)
    files.write_text(tmp_path / "b.txt", "whole")
    assert foreign.exists() == left


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with full_disk(), pytest.raises(OSError, match="File too large") as error:
        files.write_text(target, "x" * 10_000)
    assert error.value.filename == str(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_adding_to_a_file_on_a_full_disk_names_it(tmp_path: Path) -> None:
    target = tmp_path / "ü.jsonl"
    files.append_text(target, "a\n")
    files.append_text(target, "b\n")
    assert target.read_text() == "a\nb\n"
    with full_disk(), pytest.raises(OSError, match="File too large") as error:
        files.append_text(target, "x" * 10_000)
    assert error.value.filename == str(target)


def test_a_file_that_is_not_there_needs_no_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / "a").touch()
    files.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(Path, "unlink", read_only)  # asked for a missing file, too, on such a file system
    files.remove(tmp_path / "a")


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no /sys: a folder that root cannot write either")
def test_an_error_names_the_file_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/sys")
    with pytest.raises(OSError, match=r"denied|Read-only") as error:
        files.write_text(Path("x.txt"), "")
    assert error.value.filename == "x.txt"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "x.txt", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == 0o640


def test_a_file_in_place_of_the_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for target in (tmp_path / "out" / "x.txt", tmp_path / "out" / "deeper" / "x.txt"):
        with pytest.raises(InputError, match="a file is in the way"):
            files.write_text(target, "")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_in_place_of_the_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        files.write_text(tmp_path / "x.txt", "")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@given(st.text(st.characters(exclude_characters="\r\ufeff", exclude_categories=["Cs"])))
def test_text_round_trip(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    files.write_text(path, text)
    assert files.read_text(path) == text


def test_text_has_unix_line_ends_and_is_read_with_any(tmp_path: Path) -> None:
    files.write_text(tmp_path / "x.txt", "a\nb\n")
    assert (tmp_path / "x.txt").read_bytes() == b"a\nb\n"
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r")
    assert files.read_text(tmp_path / "x.txt") == "a\nb\n"


def test_json_is_readable_and_exact(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"tape": "Grün.wav", "start_s": 0.1})
    assert (tmp_path / "x.json").read_text("utf-8") == '{\n  "tape": "Grün.wav",\n  "start_s": 0.1\n}\n'
    assert files.read_json(tmp_path / "x.json") == {"tape": "Grün.wav", "start_s": 0.1}


def test_json_refuses_nan_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"p": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"a": 1,\n}')
    (tmp_path / "latin.txt").write_bytes(b"gr\xfcn")
    with pytest.raises(InputError, match=r"bad.json line 2 column 1: not JSON"):
        files.read_json(tmp_path / "bad.json")
    (tmp_path / "twice.json").write_text('{"v": [{"lr": 1, "hop": 2, "lr": 1}]}')
    with pytest.raises(InputError, match=r"twice.json: 'lr' stands twice in one object"):
        files.read_json(tmp_path / "twice.json")
    with pytest.raises(InputError, match=r"latin.txt: not UTF-8 text \(byte 2\)"):
        files.read_text(tmp_path / "latin.txt")
    with pytest.raises(InputError, match="no such file"):
        files.read_text(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no such file"):
        files.read_text(tmp_path / "latin.txt" / "below a file")
    with pytest.raises(InputError, match="is a folder"):
        files.read_text(tmp_path)


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom((1 << 22) + 17)  # longer than one read
    (tmp_path / "x").write_bytes(content)
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_digest_of_json_does_not_depend_on_order() -> None:
    assert files.sha256_json({"a": 1, "b": [1, 2]}) == files.sha256_json({"b": [1, 2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})


def test_the_umask_is_never_touched_since_other_threads_write_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tmp_path / "as the system does"
    expected.touch()
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("a thread that writes meanwhile would get this umask"))
    files.write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "a.txt").stat().st_mode == expected.stat().st_mode


def test_a_folder_that_is_removed_while_a_file_is_written_to_it_is_named(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.txt"

    def removed() -> None:
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            shutil.rmtree(target.parent)

    with pytest.raises(MachineError, match=r"out: was removed while a\.txt was being written"):
        removed()
