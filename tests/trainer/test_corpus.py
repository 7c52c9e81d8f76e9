import pytest

from hum_shared.errors import AudioError, InputError
from hum_trainer.corpus import find_folders, read_recordings, require_writable
from support.corpora import make_corpus


def test_a_folder_is_found_by_a_part_of_its_name(tmp_path):
    for name in ("387 labelled_recordings 'neu'", "segmented_v2", ".segmented_old", "dataset_segmented"):
        (tmp_path / name).mkdir()
    folders = find_folders(tmp_path)
    assert folders.labelled.name == "387 labelled_recordings 'neu'"
    assert folders.segmented.name == "segmented_v2"
    assert folders.raw is None


def test_two_folders_that_match_are_both_named(tmp_path):
    for name in ("segmented", "segmented_old"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="segmented and segmented_old"):
        find_folders(tmp_path)


def test_two_recordings_of_one_name_are_both_named(tmp_path):
    make_corpus(tmp_path, tapes=["a.wav"], clips_per_tape=1)
    clip = tmp_path / "labelled_recordings" / "a.wav_0_10.wav"
    twin = tmp_path / "labelled_recordings" / "old" / clip.name
    twin.parent.mkdir()
    twin.write_bytes(clip.read_bytes())
    with pytest.raises(InputError, match=r"labelled_recordings/a.wav_0_10.wav and labelled_recordings/old/"):
        read_recordings(tmp_path, [clip, twin], digests=False, tick=lambda: None)


def test_a_broken_recording_is_an_error_that_names_it(tmp_path):
    (tmp_path / "übel $1.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"übel \$1.wav"):
        read_recordings(tmp_path, [tmp_path / "übel $1.wav"], digests=False, tick=lambda: None)


def test_all_broken_recordings_are_named_at_once(tmp_path):
    make_corpus(tmp_path, tapes=["a.wav"], clips_per_tape=1)
    good = tmp_path / "labelled_recordings" / "a.wav_0_10.wav"
    for name in ("1.wav", "2.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    files = [tmp_path / "1.wav", good, tmp_path / "2.wav"]
    with pytest.raises(AudioError, match=r"2 recordings cannot be read: .*/1\.wav: .*; .*/2\.wav: ") as error:
        read_recordings(tmp_path, files, digests=False, tick=lambda: None)
    assert good.name not in str(error.value)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out DIR"):
        require_writable(tmp_path / "file" / "out")
