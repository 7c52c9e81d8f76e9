"""Reading only what selections cover."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_rf_filter import recordings
from hum_rf_filter.recordings import recording_features
from hum_shared.errors import AudioError
from hum_shared.selections import Selection
from support.rf_run import SAMPLE_RATE, SETTINGS, write_recording


def test_segments_are_rounded_to_samples_and_clamped_to_the_file(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=1)
    sound, _ = soundfile.read(path, dtype="float32")
    rows = [Selection(0.5, 99), Selection(98, 99), Selection(0.25, 0.25)]
    found = recording_features(path, rows, SETTINGS)
    expected = recordings.segment_features([sound[4000:]], np.zeros((1, 2)), SAMPLE_RATE, SETTINGS)
    acoustic = found[:, : len(SETTINGS.acoustic_columns)]
    np.testing.assert_array_equal(acoustic[0], expected[0])
    assert np.isnan(acoustic[1:]).all()


def test_features_do_not_depend_on_order_batches_or_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=20)
    starts = [15.0, 0.0, 0.5, 10.0, 0.2, 14.9]
    rows = [Selection(start, start + 0.6 + start / 20) for start in starts]
    together = recording_features(path, rows, SETTINGS)
    monkeypatch.setattr(recordings, "_BATCH_SAMPLES", 1)
    alone = recording_features(path, rows, SETTINGS)
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)


def test_only_selections_and_half_a_second_around_are_read_and_each_part_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recording(tmp_path / "a.wav", seconds=20)
    read: list[tuple[int, int]] = []
    read_mono = recordings.read_mono

    def recorded(path: Path, start: int, stop: int) -> np.ndarray:
        read.append((start, stop))
        return read_mono(path, start, stop)

    monkeypatch.setattr(recordings, "read_mono", recorded)
    recording_features(path, [Selection(15, 16), Selection(1, 2), Selection(1.5, 2.5), Selection(3, 4)], SETTINGS)
    assert read == [(31 * 128, 282 * 128), (906 * 128, 1032 * 128)]


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


def test_samples_far_beyond_full_scale_are_an_error_that_says_where(tmp_path: Path) -> None:
    sound = np.zeros(8000, dtype=np.float32)
    sound[4000] = 1e30
    soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"far beyond full scale at 0\.500 s"):
        recording_features(tmp_path / "a.wav", [Selection(0.25, 0.9)], SETTINGS)
