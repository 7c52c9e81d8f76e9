"""Finding recordings, and reading only what selections cover."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_rf_filter import recordings
from hum_rf_filter.recordings import RecordingFolder, recording_features
from hum_shared.errors import AudioError, InputError
from hum_shared.selections import Selection
from support.rf_run import SAMPLE_RATE, SETTINGS, write_recording

HOSTILE = "a b'c\"$d ü.v2_20201207_cut"


def test_a_recording_is_found_by_its_whole_name_never_by_a_prefix(tmp_path: Path) -> None:
    for name in ("387_20201201_cut.wav", "387_20201201_cut.wav_0_40.wav", "387_20201201_cut.wav_0_400.wav"):
        write_recording(tmp_path / name, seconds=0.1)
    folder = RecordingFolder(tmp_path)
    assert folder.find("387_20201201_cut.wav_0_40").name == "387_20201201_cut.wav_0_40.wav"
    assert folder.find("387_20201201_cut").name == "387_20201201_cut.wav"


def test_a_name_with_blanks_quotes_and_dots_is_found_in_a_sub_folder(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "x [1]" / f"{HOSTILE}.wav", seconds=0.1)
    assert RecordingFolder(tmp_path).find(HOSTILE) == path


def test_a_full_name_is_accepted_as_well(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "tape.wav", seconds=0.1)
    assert RecordingFolder(tmp_path).find("tape.wav") == path


def test_twins_are_refused_unless_the_full_name_tells_them_apart(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", seconds=0.1)
    flac = tmp_path / "a.flac"
    soundfile.write(flac, np.zeros(100), SAMPLE_RATE)
    folder = RecordingFolder(tmp_path)
    with pytest.raises(AudioError, match=r"a\.flac.*a\.wav"):
        folder.find("a")
    assert folder.find("a", "a.flac") == flac


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no recording gone"):
        RecordingFolder(tmp_path).find("gone")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        RecordingFolder(tmp_path / "gone")


def test_segments_are_rounded_to_samples_and_clamped_to_the_file(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=1)
    sound, _ = soundfile.read(path, dtype="float32")
    rows = [Selection(0.5, 99), Selection(98, 99), Selection(0.25, 0.25)]
    found = recording_features(path, rows, SETTINGS)
    expected = recordings.segment_features([sound[4000:]], np.zeros((1, 2)), SAMPLE_RATE, SETTINGS)
    np.testing.assert_array_equal(found[0], expected[0])
    assert np.isnan(found[1:]).all()


def test_features_do_not_depend_on_order_batches_or_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=20)
    starts = [15.0, 0.0, 0.5, 10.0, 0.2, 14.9]
    rows = [Selection(start, start + 0.6 + start / 20) for start in starts]
    together = recording_features(path, rows, SETTINGS)
    monkeypatch.setattr(recordings, "_BATCH_SAMPLES", 1)
    alone = recording_features(path, rows, SETTINGS)
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)


def test_only_the_needed_parts_are_read_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=20)
    read: list[tuple[int, int]] = []
    read_mono = recordings.read_mono

    def recorded(path: Path, start: int, stop: int) -> np.ndarray:
        read.append((start, stop))
        return read_mono(path, start, stop)

    monkeypatch.setattr(recordings, "read_mono", recorded)
    recording_features(path, [Selection(15, 16), Selection(1, 2), Selection(1.5, 2.5), Selection(3, 4)], SETTINGS)
    assert read == [(8000, 32000), (120000, 128000)]


def test_channels_are_averaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, (8000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "stereo.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "mono.wav", sound.mean(axis=1), SAMPLE_RATE, subtype="FLOAT")
    rows = [Selection(0.1, 0.9)]
    stereo, mono = (recording_features(tmp_path / f"{name}.wav", rows, SETTINGS) for name in ("stereo", "mono"))
    np.testing.assert_allclose(stereo, mono, rtol=1e-5, atol=1e-5)


def test_samples_that_are_no_number_are_an_error_that_says_where(tmp_path: Path) -> None:
    sound = np.zeros(8000, dtype=np.float32)
    sound[4000] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"at 0\.500 s"):
        recording_features(tmp_path / "a.wav", [Selection(0.25, 0.9)], SETTINGS)
