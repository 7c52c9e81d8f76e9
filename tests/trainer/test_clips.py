"""Reading a dataset: lists, classes, audio."""

import re

import numpy as np
import pytest
import soundfile

from hum_shared.config.variants import DatasetStrategy
from hum_shared.errors import AudioError, InputError
from hum_shared.files import sha256_file
from hum_trainer.clips import PARTS, Clip, class_indices, read_clip, read_part, training_sources
from hum_trainer.indexing import index_corpus
from hum_trainer.prepare import prepare
from support.corpora import make_corpus

STRATEGY = DatasetStrategy(split_strategy="random", seed=1)


def _dataset(folder, *file_names):
    for name in file_names:
        soundfile.write(folder / name, np.zeros(100), 8000)
    (folder / "train.csv").write_text("".join(f"{name}\n" for name in file_names))


def test_a_part_lists_its_clips_in_order(tmp_path):
    names = ["target-Q2_1_2020_b $x 'ü'.v1_1_2.wav", "noise-bg_2_2020_a_1_2.wav"]
    _dataset(tmp_path, *names)
    clips = read_part(tmp_path, "train")
    assert [clip.path.name for clip in clips] == names
    assert [clip.class_name for clip in clips] == ["target", "noise"]


def test_an_empty_list_is_refused(tmp_path):
    _dataset(tmp_path)
    with pytest.raises(InputError, match="lists no clips"):
        read_part(tmp_path, "train")


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"val\.csv"):
        read_part(tmp_path, "val")


def test_a_missing_clip_is_named(tmp_path):
    _dataset(tmp_path, "noise-bg_2_2020_a_1_2.wav")
    (tmp_path / "noise-bg_2_2020_a_1_2.wav").unlink()
    with pytest.raises(InputError, match=r"1 of 1 clips are missing, first noise-bg"):
        read_part(tmp_path, "train")


def _clips(tmp_path, *classes):
    return [Clip(tmp_path / f"{name}.wav", name) for name in classes]


def test_target_is_one_whatever_the_other_class_is_called(tmp_path):
    assert class_indices(_clips(tmp_path, "target", "zebra"), 2, tmp_path) == {"zebra": 0, "target": 1}


def test_more_classes_are_numbered_by_name(tmp_path):
    found = class_indices(_clips(tmp_path, "target", "noise", "bird", "noise"), 3, tmp_path)
    assert found == {"bird": 0, "noise": 1, "target": 2}


@pytest.mark.parametrize(("classes", "num"), [(("noise", "bird"), 2), (("noise", "target"), 3), (("target",), 2)])
def test_classes_that_do_not_fit_are_listed(tmp_path, classes, num):
    with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path))}: .*{classes[0]}"):
        class_indices(_clips(tmp_path, *classes), num, tmp_path)


def test_a_clip_is_averaged_and_resampled(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([np.full(800, 0.5), np.full(800, -0.1)], axis=1), 8000)
    audio = read_clip(path, 16000)
    assert audio.shape == (1600,)
    np.testing.assert_allclose(audio[400:1200], 0.2, atol=1e-3)


def test_nan_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(100, np.nan, dtype="f4"), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        read_clip(path, 8000)


def test_a_listed_name_without_a_class_names_the_list(tmp_path):
    (tmp_path / "train.csv").write_text("387_20201207.wav\n")
    with pytest.raises(InputError, match=r"train\.csv: 387_20201207\.wav: carries no class"):
        read_part(tmp_path, "train")


def test_a_dataset_says_which_recordings_its_clips_are_cut_from(tmp_path, capsys):
    make_corpus(tmp_path / "c")
    prepare(tmp_path / "c", index_corpus(tmp_path / "c").index, {"random": STRATEGY}, tmp_path, workers=1)
    data, noise = tmp_path / "dataset_random", tmp_path / "rain ü.wav"
    soundfile.write(noise, np.zeros(800), 8000)
    clips = {part: read_part(data, part) for part in PARTS}
    known = {path.name: sha256_file(path) for path in (tmp_path / "c" / "labelled_recordings").iterdir()}
    sources = training_sources(data, clips, [Clip(noise, "noise")])
    found = sources["recordings"]
    assert found.pop("noise_dir") == {noise.name: sha256_file(noise)}
    assert set(found) == set(PARTS)
    assert {name: digest for part in found.values() for name, digest in part.items()} == known
    assert sources["tapes"].pop("noise_dir") == [noise.name]
    assert set(sources["tapes"]) == set(PARTS)

    added = data / "target-Q1_9_2020_387-2020_0000000_0000100.wav"
    soundfile.write(added, np.zeros(800), 8000)
    clips["train"].append(Clip(added, "target"))  # by hand: nobody knows of what recording
    assert set(training_sources(data, clips, [])) == {"tapes"}
    (data / "variant_index.json").write_text('{"meta": {}}')  # another program's
    assert set(training_sources(data, clips, [])) == {"tapes"}
    assert "the model's card will not say which recordings" in capsys.readouterr().err
    (data / "variant_index.json").unlink()
    assert set(training_sources(data, clips, [])) == {"tapes"}


def test_the_tapes_of_mixed_in_noise_are_named_as_heard(tmp_path):
    _dataset(tmp_path, "target-Q2_1_2020_387-2020_1_2.wav")
    clips = dict.fromkeys(PARTS, read_part(tmp_path, "train"))
    noise = Clip(tmp_path / "387_20201207_cut.wav_0_900.wav", "noise")
    assert training_sources(tmp_path, clips, [noise])["tapes"]["noise_dir"] == ["387_20201207_cut.wav"]
