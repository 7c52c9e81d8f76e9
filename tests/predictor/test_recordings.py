"""Finding recordings and cutting shards."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_predictor.recordings import find_recordings, parse_shard, shard_of
from hum_shared.errors import InputError


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


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_impossible_shards_are_refused(text):
    with pytest.raises(InputError, match="K/N"):
        parse_shard(text)


@given(st.lists(st.floats(0, 1e5), max_size=40), st.integers(1, 6))
def test_shards_hold_every_recording_once(durations, n_shards):
    dur_s = {Path(f"{i}.wav"): d for i, d in enumerate(durations)}
    shards = [shard_of(list(dur_s), dur_s, k, n_shards) for k in range(1, n_shards + 1)]
    assert sorted(path for shard in shards for path in shard) == sorted(dur_s)


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=40), st.integers(1, 6))
def test_shards_differ_by_at_most_the_longest_recording(durations, n_shards):
    dur_s = {Path(f"{i}.wav"): d for i, d in enumerate(durations)}
    loads = [sum(dur_s[p] for p in shard_of(list(dur_s), dur_s, k, n_shards)) for k in range(1, n_shards + 1)]
    assert max(loads) - min(loads) <= max(durations) + 1e-6
