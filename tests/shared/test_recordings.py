import errno
import os
import unicodedata
from pathlib import Path

import pytest

from hum_shared.errors import AudioError, InputError
from hum_shared.recordings import RecordingFolder, find_recordings, recordings_folder, refuse_shared_tracks

HOSTILE = "Ä weide.v2 'x' $HOME [1].wav"


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_recording_is_found_below_the_folder_by_its_whole_name(tmp_path):
    put(tmp_path / "deep er" / HOSTILE, tmp_path / f"x{HOSTILE}", tmp_path / f"{HOSTILE}_0_900.wav")
    found = RecordingFolder(tmp_path).find(HOSTILE.removesuffix(".wav"))
    assert found == tmp_path / "deep er" / HOSTILE


def test_neither_a_prefix_nor_a_longer_name_is_found(tmp_path):
    put(*(tmp_path / f"387_20201201_cut.wav{end}" for end in ("", "_0_40.wav", "_0_400.wav")))
    folder = RecordingFolder(tmp_path)
    assert folder.find("387_20201201_cut.wav_0_40").name == "387_20201201_cut.wav_0_40.wav"
    assert folder.find("387_20201201_cut").name == "387_20201201_cut.wav"


def test_a_name_with_its_suffix_is_accepted_as_well(tmp_path):
    put(tmp_path / "tape.wav", tmp_path / "tape.flac")
    assert RecordingFolder(tmp_path).find("tape.wav") == tmp_path / "tape.wav"


def test_the_full_name_tells_twins_apart(tmp_path):
    put(tmp_path / "a.wav", tmp_path / "a.flac")
    assert RecordingFolder(tmp_path).find("a", "a.flac") == tmp_path / "a.flac"
    with pytest.raises(AudioError, match=r"a\.flac.*a\.wav"):
        RecordingFolder(tmp_path).find("a")


def test_a_missing_recording_is_named(tmp_path):
    put(tmp_path / "a.wav.txt")
    with pytest.raises(AudioError, match=r"no recording a\.wav"):
        RecordingFolder(tmp_path).find("a", "a.wav")


def test_linked_folders_are_searched_once_also_in_a_circle(tmp_path):
    put(tmp_path / "real/a.wav")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link").symlink_to(tmp_path / "real")
    (tmp_path / "folder/second link").symlink_to(tmp_path / "real")
    (tmp_path / "real/back").symlink_to(tmp_path / "folder")
    assert RecordingFolder(tmp_path / "folder").find("a").name == "a.wav"


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        RecordingFolder(tmp_path / "nowhere")


@pytest.mark.parametrize("said", ["a [1]", "a [1]/b.wav", "a [1]/*.wav", "a [1]/[ab].wav"])
def test_the_folder_of_a_recording_a_folder_or_a_glob(tmp_path, said):
    put(tmp_path / "a [1]/b.wav")
    assert recordings_folder(tmp_path / said) == tmp_path / "a [1]"


def test_recordings_that_would_share_a_score_track_are_both_named():
    with pytest.raises(
        InputError, match=r"x/a\.wav and y/a\.flac would share the score track a_predict_output\.parquet\. Do"
    ):
        refuse_shared_tracks([Path("x/a.wav"), Path("b.wav"), Path("y/a.flac")], "Do something.")
    refuse_shared_tracks([Path("a.wav"), Path("a.wav"), Path("a.b.wav")])


def _touch(folder, *file_names):
    for name in file_names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_gives_its_audio_files_sorted_by_name(tmp_path):
    _touch(tmp_path, "b.WAV", "a.flac", "notes.txt", "sub/c.wav")
    assert [p.name for p in find_recordings(tmp_path, recursive=False)] == ["a.flac", "b.WAV"]


def test_recursive_looks_below(tmp_path):
    _touch(tmp_path, "b.wav", "sub/c.mp3")
    assert [p.name for p in find_recordings(tmp_path, recursive=True)] == ["b.wav", "c.mp3"]


def test_linked_folders_are_looked_into_and_hidden_ones_are_not(tmp_path):
    _touch(tmp_path, "cards/a.wav", "cards/.Trash-1000/files/b.wav", "elsewhere/c.wav")
    (tmp_path / "cards" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cards" / "round").symlink_to(tmp_path / "cards")
    assert [p.name for p in find_recordings(tmp_path / "cards", recursive=True)] == ["a.wav", "c.wav"]


def test_a_glob_selects(tmp_path):
    _touch(tmp_path, "387_1.wav", "387_2.wav", "388_1.wav")
    found = find_recordings(tmp_path / "387_*.wav", recursive=False)
    assert [p.name for p in found] == ["387_1.wav", "387_2.wav"]


def test_hidden_files_are_left_out_and_dead_links_are_not(tmp_path):
    _touch(tmp_path, "a.wav", "._a.wav")  # the second is what macOS leaves beside a.wav on a stick
    (tmp_path / "gone.wav").symlink_to("nowhere")
    (tmp_path / "folder.wav").mkdir()
    assert [p.name for p in find_recordings(tmp_path, recursive=False)] == ["a.wav", "gone.wav"]


def test_wildcards_in_folders_that_exist_are_taken_literally(tmp_path):
    _touch(tmp_path, "herd [1] *'s/387_1.wav", "herd 1/387_2.wav")
    found = find_recordings(tmp_path / "herd [1] *'s" / "387_*.wav", recursive=False)
    assert found == [tmp_path / "herd [1] *'s" / "387_1.wav"]


@pytest.mark.parametrize("name", ["größe $HOME 'x' [1].wav", "a*b.wav", 'say "hum".wav', "a.b.c.wav"])
def test_an_existing_path_is_taken_literally(tmp_path, name):
    _touch(tmp_path, name)
    assert find_recordings(tmp_path / name, recursive=False) == [tmp_path / name]


@pytest.mark.parametrize("source", ["empty", "missing", "no_*.wav"])
def test_nothing_found_names_the_place(tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found no") as error:
        find_recordings(tmp_path / source, recursive=False)
    assert str(tmp_path / source) in str(error.value)


def test_twins_that_would_share_a_track_are_refused(tmp_path):
    _touch(tmp_path, "a.wav", "a.flac")
    with pytest.raises(InputError, match=r"a\.flac.*a\.wav"):
        find_recordings(tmp_path, recursive=False)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    scandir = os.scandir

    def closed(path: str) -> object:  # root may look into everything
        if Path(path).name == "site":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match=r"site: cannot be looked into \(Permission denied\)"):
        find_recordings(tmp_path, recursive=True)


def test_a_name_of_two_unicode_forms_is_one_name(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Bär.wav") for form in ("NFC", "NFD"))
    put(tmp_path / composed)
    folder = RecordingFolder(tmp_path)
    assert folder.find(apart.removesuffix(".wav")) == folder.find(apart, apart) == tmp_path / composed


def test_what_the_file_system_keeps_at_the_root_of_a_disk_is_not_looked_into(tmp_path: Path) -> None:
    for folder in ("lost+found", "System Volume Information", "$RECYCLE.BIN", "site"):
        put(tmp_path / folder / "a.wav")
    assert find_recordings(tmp_path, recursive=True) == [tmp_path / "site" / "a.wav"]
