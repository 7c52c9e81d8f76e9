"""Recordings with their calls."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from hum_shared.errors import InputError
from hum_shared.index import write_index
from hum_shared.intervals import inside
from hum_trainer.indexing import index_corpus
from hum_trainer.labelled_recordings import read_labelled_recordings
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


def test_a_recording_without_calls_may_lie_in_a_folder_of_its_own(tmp_path):
    make_corpus(tmp_path, raw=False)
    empty = tmp_path / "labelled_recordings" / "quiet" / "999_20201207_cut.wav_0_10.wav"
    empty.parent.mkdir()
    soundfile.write(empty, np.zeros(80000), 8000)
    write_index(tmp_path / "corpus_index.json", index_corpus(tmp_path).index)
    assert empty in [recording.path for recording in read_labelled_recordings(tmp_path / "corpus_index.json")]


def test_calls_of_a_clip_that_shares_time_are_calls_there_too(tmp_path):
    tape = "387_20201207_cut.wav"
    hums = [hum for hum in make_corpus(tmp_path) if hum.tape == tape]
    samples, rate = soundfile.read(tmp_path / "raw_recordings" / tape)
    clips = tmp_path / "labelled_recordings"
    soundfile.write(clips / f"{tape}_5_15.wav", samples[5 * rate : 15 * rate], rate)
    again = hums[3]  # labelled in both, not to the sample
    name = f"{tape}_5_15.wav_{again.start_s - 5 + 0.01:.3f}_{again.end_s - 5:.3f}Q1.wav"
    shutil.copy(tmp_path / "segmented" / again.file_name, tmp_path / "segmented" / name)
    write_index(tmp_path / "corpus_index.json", index_corpus(tmp_path).index)
    found = {one.name: one for one in read_labelled_recordings(tmp_path / "corpus_index.json")}
    between = found[f"{tape}_5_15.wav"]
    known = [(hum.offset_s + hum.start_s - 5, hum.offset_s + hum.end_s - 5, hum.quality) for hum in hums]
    expected = sorted((s, e, q) for s, e, q in known if s >= 0 and e <= 10 and q is not None)
    assert len(between.calls) == len(expected)
    np.testing.assert_allclose(between.calls, [[s, e] for s, e, _ in expected], atol=0.011)
    assert len(found[hums[0].clip].calls) == 4


def test_a_call_of_two_clips_is_one_in_a_third_and_a_sliver_of_one_is_none(tmp_path):
    tape = "387_20201207_cut.wav"
    (tmp_path / "labelled_recordings").mkdir()
    (tmp_path / "segmented").mkdir()
    for clip, hums in {"0_20": ["2_3", "9.6_10.004", "15_16"], "5_25": ["10.05_11.02"], "10_30": []}.items():
        soundfile.write(tmp_path / "labelled_recordings" / f"{tape}_{clip}.wav", np.zeros(20 * 8000), 8000)
        for hum in hums:
            start_s, end_s = map(float, hum.split("_"))
            hum_file = tmp_path / "segmented" / f"{tape}_{clip}.wav_{hum}Q1.wav"
            soundfile.write(hum_file, np.zeros(round((end_s - start_s) * 8000)), 8000)
    write_index(tmp_path / "corpus_index.json", index_corpus(tmp_path).index)
    third = read_labelled_recordings(tmp_path / "corpus_index.json")[1]
    assert third.name == f"{tape}_10_30.wav"
    np.testing.assert_allclose(third.calls, [[5, 6]])  # 15 to 16 and 15.05 to 16.02 s of the tape


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
    assert inside(times, recording.calls).tolist() == [[False, False, True], [True, False, False]]


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
