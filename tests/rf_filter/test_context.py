"""Score, duration and level around a selection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_rf_filter.context import SCORE_COLUMNS, level_above, logit_curve, read_logits, score_context
from hum_shared.errors import TableError
from hum_shared.intervals import as_intervals
from hum_shared.layout import score_file
from hum_shared.scores import read_score_track
from support.score_tracks import write_track

RATE = 8000


def told(instants_s: list[float], logits: list[float], *spans: tuple[float, float]) -> list[dict[str, float]]:
    rows = score_context(np.array(instants_s), np.array(logits), as_intervals(spans))
    return [dict(zip(SCORE_COLUMNS, row.tolist(), strict=True)) for row in rows]


def test_largest_smallest_and_middle_are_those_of_rows_inside() -> None:
    (row,) = told([0, 1, 2, 3, 4], [-9, 2, 5, 3, 9], (1, 3))
    assert (row["cnn_logit_max"], row["cnn_logit_min"], row["cnn_logit_centre"]) == (5, 2, 5)


def test_a_selection_between_two_rows_has_the_nearest() -> None:
    (row,) = told([0, 1], [-4, 4], (0.6, 0.8))
    assert (row["cnn_logit_max"], row["cnn_logit_min"]) == (4, 4)
    assert row["cnn_logit_centre"] == pytest.approx(-4 + 8 * 0.7)


def test_context_is_the_second_before_and_the_second_after() -> None:
    (row,) = told([0.5, 1.5, 2.5, 3.5, 4.5], [100, -1, 4, -3, 100], (2, 3))
    assert (row["cnn_logit_before"], row["cnn_logit_after"], row["cnn_logit_rise"]) == (-1, -3, 6)


def test_at_the_edges_of_a_recording_what_is_not_there_is_nan() -> None:
    first, last, alone = told([0, 1, 2], [3, 5, 7], (0, 0.5), (1.5, 2), (0, 2))
    assert np.isnan(first["cnn_logit_before"])
    assert (first["cnn_logit_after"], first["cnn_logit_rise"]) == (5, -2)
    assert np.isnan(last["cnn_logit_after"])
    assert np.isnan(alone["cnn_logit_rise"])


def test_no_rows_or_no_selections_are_no_exception() -> None:
    assert np.isnan(score_context(np.empty(0), np.empty(0), as_intervals([(0, 1)]))).all()
    assert score_context(np.arange(3.0), np.arange(3.0), as_intervals([])).shape == (0, 6)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 200)), min_size=1, max_size=8),
    st.integers(0, 99),
)
def test_the_context_is_that_of_a_plain_loop(n_rows: int, drawn: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    instants, logits = np.sort(rng.uniform(0, 5, n_rows)), rng.normal(size=n_rows)
    spans = [(start / 100, (start + length) / 100) for start, length in drawn]
    for (begin, end), row in zip(spans, score_context(instants, logits, as_intervals(spans)), strict=True):
        inside = logits[(instants >= begin) & (instants <= end)]
        if len(inside) == 0:
            inside = logits[[np.argmin(np.abs(instants - (begin + end) / 2))]]
        before = logits[(instants >= begin - 1) & (instants < begin)]
        after = logits[(instants > end) & (instants <= end + 1)]
        around = np.concatenate((before, after))
        expected = [
            inside.max(),
            inside.min(),
            np.interp((begin + end) / 2, instants, logits),
            before.mean() if len(before) else np.nan,
            after.mean() if len(after) else np.nan,
            inside.mean() - around.mean() if len(around) else np.nan,
        ]
        np.testing.assert_allclose(row, expected, atol=1e-9)


def test_a_row_stands_at_its_centre_and_tells_the_odds_against_noise(tmp_path) -> None:
    name = "a b'c\"$d ü.v2.wav"
    write_track(tmp_path, name, [[0.2, 0.5, 0.3], [1, 0, 0]], classes={"noise": 0, "hum": 1, "cry": 2})
    instants, logits = read_logits(score_file(tmp_path, name), name)
    np.testing.assert_allclose(instants, [0.2, 0.25], atol=1e-3)
    np.testing.assert_allclose(logits, [np.log(4), np.log(1e-6 / (1 - 1e-6))], rtol=1e-6)


def test_a_track_of_another_recording_is_refused(tmp_path) -> None:
    write_track(tmp_path, "a.wav", [0.5])
    with pytest.raises(TableError, match=r"track of a\.wav, not of a\.flac"):
        read_logits(score_file(tmp_path, "a.wav"), "a.flac")


def test_a_track_with_nan_is_refused(tmp_path) -> None:
    write_track(tmp_path, "a.wav", [0.5, np.nan])
    assert np.isnan(logit_curve(read_score_track(score_file(tmp_path, "a.wav")))[1]).any()
    with pytest.raises(TableError, match="holds NaN"):
        read_logits(score_file(tmp_path, "a.wav"), "a.wav")


def tone(start: float, end: float, hz: float, amplitude: float, seconds: float = 4) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * t) * ((t >= start) & (t < end))).astype(np.float32)


def level(sound: np.ndarray, start: float, end: float, band: tuple[float, float] = (0, 0)) -> float:
    bounds = np.array([[round(start * RATE), round(end * RATE)]])
    return float(level_above(sound, bounds, np.array([band], dtype=float), RATE)[0])


def test_the_level_is_that_of_the_selection_above_half_a_second_on_either_side() -> None:
    noise = tone(0, 4, 500, 0.01)
    assert level(noise + tone(1, 2, 500, 0.09), 1, 2) == pytest.approx(20, abs=0.5)
    assert level(noise, 1, 2) == pytest.approx(0, abs=0.1)
    far_away = tone(2.6, 3.5, 500, 0.9) + tone(0, 0.4, 500, 0.9)
    assert level(noise + far_away, 1, 2) == pytest.approx(0, abs=0.1)


def test_the_level_is_that_of_the_band() -> None:
    sound = tone(0, 4, 500, 0.01) + tone(1, 2, 500, 0.09) + tone(0, 4, 2000, 0.5)
    assert level(sound, 1, 2) < 1
    assert level(sound, 1, 2, (200, 1000)) == pytest.approx(20, abs=0.5)


def test_a_recorders_offset_is_no_level() -> None:
    sound = tone(0, 4, 500, 0.01) + tone(1, 2, 500, 0.09)
    assert level(sound + 0.5, 1, 2) == pytest.approx(level(sound, 1, 2), abs=0.1)
    for end in (3.99, 4.0):  # also where the last frame is cut off
        near = sound[: round(end * RATE)]
        assert level(near + 0.1, 3.5, end) == pytest.approx(level(near, 3.5, end), abs=0.3)
        assert level(near + 0.1, 3.2, end - 0.1) == pytest.approx(level(near, 3.2, end - 0.1), abs=0.3)


def test_silence_has_no_level_but_a_number() -> None:
    assert level(np.zeros(4 * RATE, dtype=np.float32), 1, 2) == 0
    assert level(tone(1, 2, 500, 0.5), 1, 2) == pytest.approx(10 * np.log10(0.125 / 1e-10), abs=0.5)


def test_without_surroundings_or_without_sound_there_is_no_level() -> None:
    sound = tone(0, 1, 500, 0.5, seconds=1)
    assert np.isnan(level(sound, 0, 1))
    assert np.isnan(level(sound, 0.5, 0.5))
    assert np.isnan(level_above(sound[:0], np.array([[0, 0]]), np.zeros((1, 2)), RATE)).all()


def test_selections_of_different_bands_have_the_level_they_have_alone() -> None:
    sound = tone(1, 2, 500, 0.09) + np.random.default_rng(0).normal(0, 0.01, 4 * RATE).astype(np.float32)
    bounds = np.array([[8000, 16000], [9000, 12000], [0, 400]])
    bands = np.array([[200.0, 1000], [0, 0], [200, 1000]])
    together = level_above(sound, bounds, bands, RATE)
    alone = [level_above(sound, bounds[i : i + 1], bands[i : i + 1], RATE)[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
