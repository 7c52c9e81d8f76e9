"""Features of segments, against the golden table and by themselves."""

import json
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_rf_filter.features import FeatureSettings, segment_features
from hum_rf_filter.recordings import recording_features
from hum_shared.selections import Selection
from support.golden_recordings import hums

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "rf_table.json").read_text())
SMALL = FeatureSettings(n_fft=256, hop=128, n_mfcc=5)
RATE = 8000


def test_the_golden_table_is_reproduced(tmp_path: Path) -> None:
    wanted = FeatureSettings(GOLDEN["n_fft"], GOLDEN["hop"], GOLDEN["n_mfcc"], GOLDEN["include_deltas"])
    for table in GOLDEN["tables"]:
        recording = tmp_path / f"{table['name']}.wav"
        soundfile.write(recording, hums(table["seconds"], 48000, table["seed"])[0], 48000, subtype="PCM_16")
        rows = [Selection(a, b, GOLDEN["fmin"], GOLDEN["fmax"]) for a, b, _ in table["rows"]]
        assert list(wanted.acoustic_columns) == table["columns"][1:]
        found = recording_features(recording, rows, wanted)[:, : len(wanted.acoustic_columns)]
        np.testing.assert_allclose(found, np.array(table["features"])[:, 1:], rtol=1e-4, atol=1e-4)


def test_an_empty_segment_has_no_features_and_does_not_disturb_the_others() -> None:
    sound = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    alone = segment_features([sound], np.zeros((1, 2)), RATE, SMALL)
    found = segment_features([sound[:0], sound, sound[:0]], np.zeros((3, 2)), RATE, SMALL)
    assert np.isnan(found[[0, 2]]).all()
    np.testing.assert_array_equal(found[1], alone[0])


def test_no_segments_give_no_rows() -> None:
    assert segment_features([], np.zeros((0, 2)), RATE, SMALL).shape == (0, len(SMALL.acoustic_columns))


def test_silence_has_finite_features() -> None:
    found = segment_features([np.zeros(3000, dtype=np.float32)], np.zeros((1, 2)), RATE, SMALL)
    assert np.isfinite(found).all()


def test_a_band_without_a_bin_leaves_only_the_cepstrum() -> None:
    sound = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    found = segment_features([sound], np.array([[1.0, 2.0]]), RATE, SMALL)[0]
    assert np.isnan(found[:11]).all()
    assert np.isfinite(found[11:]).all()


def test_a_tone_is_found_where_it_is_in_time_and_frequency() -> None:
    t = np.arange(RATE) / RATE
    tone = np.where((t >= 0.25) & (t < 0.75), np.sin(2 * np.pi * 1000 * t), 0).astype(np.float32)
    found = dict(zip(SMALL.acoustic_columns, segment_features([tone], np.zeros((1, 2)), RATE, SMALL)[0], strict=True))
    assert abs(found["Center Freq (Hz)"] - 1000) < RATE / SMALL.n_fft
    assert found["BW 90% (Hz)"] < 3 * RATE / SMALL.n_fft
    assert abs(found["Dur 90% (s)"] - 0.45) < 0.03


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([(0, 0), (0, 2000), (500, 1500)])), max_size=8))
def test_a_segment_has_the_same_features_alone_and_among_others(drawn: list[tuple[int, tuple[int, int]]]) -> None:
    rng = np.random.default_rng(0)
    segments = [rng.normal(0, 0.1, n).astype(np.float32) for n, _ in drawn]
    bands = np.array([band for _, band in drawn], dtype=float).reshape(-1, 2)
    together = segment_features(segments, bands, RATE, SMALL)
    for row, segment in enumerate(segments):
        alone = segment_features([segment], bands[row : row + 1], RATE, SMALL)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-6, atol=1e-6)
