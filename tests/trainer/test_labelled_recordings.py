"""Recordings with their calls."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from hum_shared.errors import InputError
from hum_shared.index import write_index
from hum_trainer.indexing import index_corpus
from hum_trainer.labelled_recordings import inside_calls, read_labelled_recordings
from hum_trainer.recording_audio import read_audio
from support.corpora import make_corpus


def _indexed(root, **settings):
    hums = make_corpus(root, raw=False, **settings)
    write_index(root / "corpus_index.json", index_corpus(root).index)
    return hums


def test_every_recording_comes_with_all_its_calls_of_every_quality(tmp_path):
    root = tmp_path / "it's a $HOME ü.v1"
    hums = _indexed(root)
    found = read_labelled_recordings(root / "corpus_index.json")
    assert [recording.name for recording in found] == sorted({hum.clip for hum in hums})
    for recording in found:
        mine = [hum for hum in hums if hum.clip == recording.name]
        assert recording.calls.tolist() == [[hum.start_s, hum.end_s] for hum in mine]
        assert recording.quality == tuple(hum.quality for hum in mine)
        assert (recording.tape, recording.dur_s, recording.sample_rate) == (mine[0].tape, 10.0, 8000)


def test_recordings_without_calls_are_there_too(tmp_path):
    make_corpus(tmp_path, raw=False)
    empty = "387_20201207_cut.wav_500_510.wav"
    soundfile.write(tmp_path / "labelled_recordings" / empty, np.zeros(80000), 8000)
    index = index_corpus(tmp_path).index
    write_index(tmp_path / "corpus_index.json", index)
    old = index.model_copy(update={"meta": index.meta.model_copy(update={"recordings": None})})
    write_index(tmp_path / "old_index.json", old)
    for name in ("corpus_index.json", "old_index.json"):
        recording = next(r for r in read_labelled_recordings(tmp_path / name) if r.name == empty)
        assert (len(recording.calls), recording.tape) == (0, "387_20201207_cut.wav")


def test_an_index_that_lies_elsewhere_is_read_with_the_corpus_folder(tmp_path):
    _indexed(tmp_path / "corpus")
    shutil.move(tmp_path / "corpus" / "corpus_index.json", tmp_path / "index.json")
    assert len(read_labelled_recordings(tmp_path / "index.json", tmp_path / "corpus")) == 6
    with pytest.raises(InputError, match=r"index.json: 6 of 6 recordings are missing, first .*data_dir"):
        read_labelled_recordings(tmp_path / "index.json")


def test_a_recording_that_changed_after_indexing_is_refused(tmp_path):
    _indexed(tmp_path)
    changed = next((tmp_path / "labelled_recordings").iterdir())
    soundfile.write(changed, np.zeros(80000), 8000)
    with pytest.raises(InputError, match="has changed since the corpus was indexed"):
        read_labelled_recordings(tmp_path / "corpus_index.json")


def test_an_index_without_calls_is_refused(tmp_path):
    (tmp_path / "corpus_index.json").write_text(json.dumps({"entries": []}))
    with pytest.raises(InputError, match="holds no calls"):
        read_labelled_recordings(tmp_path / "corpus_index.json")


def test_a_time_is_inside_from_a_calls_start_to_before_its_end(tmp_path):
    _indexed(tmp_path)
    recording = read_labelled_recordings(tmp_path / "corpus_index.json")[0]
    start_s, end_s = recording.calls[1]
    times = np.array([[0.0, start_s - 1e-6, start_s], [end_s - 1e-6, end_s, recording.dur_s]])
    assert inside_calls(recording.calls, times).tolist() == [[False, False, True], [True, False, False]]


def test_audio_is_mono_at_the_rate_asked_for_and_the_cache_gives_the_same(tmp_path):
    _indexed(tmp_path / "corpus", channels=2)
    recording = read_labelled_recordings(tmp_path / "corpus" / "corpus_index.json")[0]
    audio = read_audio(recording, 4000)
    assert (audio.shape, audio.dtype) == ((40000,), np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(read_audio(recording, 4000, tmp_path / "cache"), audio)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_calls_that_were_fed_back_are_added_in_order(tmp_path):
    _indexed(tmp_path)
    recording = read_labelled_recordings(tmp_path / "corpus_index.json")[0]
    more = recording.with_calls(np.array([[0.0, 0.01]]))
    assert more.calls[0].tolist() == [0.0, 0.01]
    assert more.quality == (None, *recording.quality)
