"""Nothing outside the workspace can be read."""

import os
from pathlib import Path

import pytest

from hum_shared.status.inside import Inside, OutsideError, Parsed, Stamp
from support.status_workspace import HOSTILE

NAME = HOSTILE.replace("/", "")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.json").write_text("secret")
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def test_files_are_read_from_the_start_and_from_the_end(room: Path) -> None:
    path = room / NAME
    path.write_bytes(b"0123456789")
    inside = Inside(room)
    assert inside.read(path, 100) == b"0123456789"
    assert inside.read(path, 4) == b"0123"
    assert inside.tail(path, 4) == b"6789"
    assert inside.tail(path, 100) == b"0123456789"


def test_a_folder_is_listed_without_hidden_names(room: Path) -> None:
    (room / "b").mkdir()
    (room / NAME).write_text("abc")
    (room / "x.json").write_text("")
    (room / ".x.json.part").write_text("")
    listed = Inside(room).listing(room)
    assert (listed.folders, set(listed.files)) == (["b"], {NAME, "x.json"})
    assert listed.files[NAME].size == 3
    assert set(Inside(room).listing(room, ".json").files) == {"x.json"}


def test_a_missing_folder_is_an_empty_one(room: Path) -> None:
    (room / "file").write_text("")
    for place in ("missing", "missing/more", "file", "file/more"):
        listed = Inside(room).listing(room / place)
        assert (listed.folders, listed.files) == ([], {})


def test_links_that_lead_out_are_refused(room: Path) -> None:
    (room / "file.json").symlink_to(room.parent / "outside" / "secret.json")
    (room / "folder").symlink_to(room.parent / "outside")
    (room / "twice").symlink_to(room / "folder")
    inside = Inside(room)
    for path in ("file.json", "folder/secret.json", "twice/secret.json", "../outside/secret.json"):
        with pytest.raises(OutsideError):
            inside.read(room / path, 10)
        with pytest.raises(OutsideError):
            inside.tail(room / path, 10)
    for path in ("folder", "twice", "..", "../outside"):
        with pytest.raises(OutsideError):
            inside.listing(room / path)


def test_a_neighbour_whose_name_begins_the_same_is_outside(room: Path) -> None:
    (room.parent / "room2").mkdir()
    (room.parent / "room2" / "x").write_text("secret")
    with pytest.raises(OutsideError):
        Inside(room).read(room / ".." / "room2" / "x", 10)


def test_links_within_and_to_the_workspace_are_followed(room: Path) -> None:
    (room / "x").write_text("here")
    (room / "link").symlink_to(room / "x")
    (room.parent / "alias").symlink_to(room)
    inside = Inside(room.parent / "alias")
    assert inside.read(room.parent / "alias" / "link", 10) == b"here"


def test_what_is_no_plain_file_is_refused_at_once(room: Path) -> None:
    os.mkfifo(room / "pipe.json")
    with pytest.raises(OutsideError, match="no plain file"):
        Inside(room).read(room / "pipe.json", 10)
    assert Inside(room).listing(room).files == {}


def test_a_link_that_is_turned_after_the_look_leads_nowhere(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = room / "x"
    path.write_text("here")
    really_open = os.open

    def turn_then_open(name: Path, flags: int) -> int:
        path.unlink()
        path.symlink_to(room.parent / "outside" / "secret.json")
        return really_open(name, flags)

    monkeypatch.setattr(os, "open", turn_then_open)
    with pytest.raises(OutsideError):
        Inside(room).read(path, 10)


def test_what_cannot_be_read_any_more_keeps_what_it_said(room: Path) -> None:
    said = ["first"]

    def read(path: Path) -> str:
        if not said:
            raise OSError("busy")
        return said.pop()

    parsed = Parsed(read)
    assert parsed.get(room, {"x": Stamp(1, 1, 1)}) == ({"x": "first"}, {})
    assert parsed.get(room, {"x": Stamp(2, 1, 1)}) == ({"x": "first"}, {"x": "busy"})
    assert parsed.get(room, {}) == ({}, {})
    assert parsed.get(room, {"x": Stamp(2, 1, 1)}) == ({}, {"x": "busy"})
