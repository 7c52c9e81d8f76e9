import numpy as np
import pytest

from hum_evaluator.tracks import find_sources, read_prediction
from hum_shared.errors import InputError, TableError
from hum_shared.layout import SCORE_SUFFIX, score_file
from support.score_tracks import TWO_CLASSES, log_header, two_class_windows, write_log, write_track

HOSTILE = "Ä weide.v2 'x' $HOME \"q\" (1)_20201207_cut.wav_900_1800.wav"
WINDOWS = [(0.0, 0.4, 0.2), (0.05, 0.45, 0.9)]


def a_log(folder, recording, **more):
    messages = log_header(f"/somewhere else/{recording}", 24_000) + two_class_windows(WINDOWS)
    return write_log(folder, recording, messages, **more)


def test_a_score_track_is_read_with_what_its_metadata_says(tmp_path):
    write_track(tmp_path, HOSTILE, [0.25, 0.75])
    sources, failures = find_sources(tmp_path, tmp_path)
    assert failures == {}
    prediction = read_prediction(sources[0])
    assert prediction.recording.name == HOSTILE
    assert prediction.recording.tape == "Ä weide.v2 'x' $HOME \"q\" (1)_20201207_cut.wav"
    assert prediction.recording.offset_s == 900
    assert prediction.recording.dur_s == 0.45
    assert prediction.windows.p.tolist() == [0.25, 0.75]
    assert (prediction.low_hz, prediction.high_hz, prediction.classes) == (100, 4000, ("noise", "target"))


def test_a_log_names_its_recording_itself(tmp_path):
    # The originals cut the name at its first dot.
    messages = log_header(f"/tapes/{HOSTILE}", 24_000) + two_class_windows(WINDOWS)
    write_log(tmp_path, "Ä weide.wav", messages, level="INFO")
    (source,), _ = find_sources(tmp_path, tmp_path)
    prediction = read_prediction(source)
    assert (source.recording, prediction.recording.offset_s) == (HOSTILE, 900)
    assert prediction.recording.sha256 is None
    assert prediction.notes == ()


def test_a_log_that_says_little_is_read_with_notes(tmp_path):
    write_log(tmp_path, "a b.c.wav", two_class_windows(WINDOWS))
    (source,), _ = find_sources(tmp_path, tmp_path)
    prediction = read_prediction(source)
    assert source.recording == "a b.c.wav"
    assert len(prediction.notes) == 2


def test_a_log_with_a_hole_says_where_it_is(tmp_path):
    messages = log_header("/x/a.wav", 24_000) + two_class_windows(
        [(start_s, start_s + 0.4, 0.9) for start_s in (0.0, 0.05, 0.1, 0.3, 0.35)]
    )
    write_log(tmp_path, "a.wav", messages)
    (source,), _ = find_sources(tmp_path, tmp_path)
    (note,) = [note for note in read_prediction(source).notes if "missing between" in note]
    assert "windows are missing between 0.1 and 0.3 s" in note
    fine = [(start_s, start_s + 0.1, 0.9) for start_s in np.round(np.arange(200) * 0.0012, 3).tolist()]
    write_log(tmp_path, "a.wav", log_header("/x/a.wav", 24_000) + two_class_windows(fine))
    assert not [note for note in read_prediction(source).notes if "missing between" in note]  # times are rounded


def test_a_score_track_wins_over_a_log(tmp_path):
    scores, logs = tmp_path / "scores", tmp_path / "prediction"
    write_track(scores, "a.wav", [0.1])
    a_log(logs, "a.wav")
    a_log(logs, "b.wav")
    sources, _ = find_sources(scores, logs)
    assert [(source.recording, source.is_log) for source in sources] == [("a.wav", False), ("b.wav", True)]


def test_a_broken_score_track_is_not_replaced_by_a_log(tmp_path):
    score_file(tmp_path, "a.wav").write_bytes(b"PAR1 no")
    a_log(tmp_path, "a.wav")
    sources, failures = find_sources(tmp_path, tmp_path)
    assert sources == []
    assert list(failures) == ["a"]


def test_sources_are_sorted_by_recording(tmp_path):
    for name in ("c.wav", "a.wav", "b.wav"):
        write_track(tmp_path, name, [0.1])
    assert [source.recording for source in find_sources(tmp_path, tmp_path)[0]] == ["a.wav", "b.wav", "c.wav"]


def test_hidden_files_are_nobodys_scores(tmp_path):
    write_track(tmp_path, "a.wav", [0.25])
    (tmp_path / f"._a{SCORE_SUFFIX}").write_bytes(b"of a Mac")
    sources, failures = find_sources(tmp_path, tmp_path)
    assert ([source.recording for source in sources], failures) == (["a.wav"], {})


@pytest.mark.parametrize("exists", [True, False])
def test_no_predictions_say_what_was_looked_for(tmp_path, exists):
    folder = tmp_path / "prediction"
    if exists:
        folder.mkdir()
    with pytest.raises(InputError, match=r"_predict_output\.parquet.*_predict_output\.log") as caught:
        find_sources(folder, folder)
    assert str(folder) in str(caught.value)
    assert ("no such folder" in str(caught.value)) is not exists


def test_two_recordings_that_share_a_stem_are_refused_by_name(tmp_path):
    path = write_track(tmp_path, "a.wav", [0.1])
    path.rename(tmp_path / f"twin{SCORE_SUFFIX}")
    write_track(tmp_path, "a.flac", [0.1])
    with pytest.raises(InputError, match=r"a\.flac.*a\.wav|a\.wav.*a\.flac"):
        find_sources(tmp_path, tmp_path)


def test_more_classes_keep_the_order_of_their_indices(tmp_path):
    write_track(tmp_path, "a.wav", [[0.1, 0.2, 0.7]], classes={"hum": 2, "Noise": 1, "alarm": 0})
    (source,), _ = find_sources(tmp_path, tmp_path)
    prediction = read_prediction(source)
    assert prediction.classes == ("alarm", "Noise", "hum")
    assert prediction.windows.noise == 1
    np.testing.assert_allclose(prediction.windows.p, [0.7], rtol=1e-6)


def test_a_track_with_nan_is_refused_by_name(tmp_path):
    path = write_track(tmp_path, "a.wav", [0.1, float("nan")], classes=TWO_CLASSES)
    (source,), _ = find_sources(tmp_path, tmp_path)
    with pytest.raises(TableError, match="NaN") as caught:
        read_prediction(source)
    assert str(path) in str(caught.value)


def test_a_log_out_of_order_is_refused_by_name(tmp_path):
    path = write_log(tmp_path, "a.wav", two_class_windows(WINDOWS[::-1]))
    (source,), _ = find_sources(tmp_path, tmp_path)
    with pytest.raises(TableError, match="time order") as caught:
        read_prediction(source)
    assert str(path) in str(caught.value)
