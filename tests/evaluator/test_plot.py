import math

import numpy as np
import pytest
from PIL import Image

from hum_evaluator.plot import plot
from hum_evaluator.spectrogram import picture, shown_range_db, spectrogram_db
from hum_evaluator.stretch import find_scores, read_curve, read_sound
from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import reached_score
from hum_shared.errors import InputError
from hum_shared.scores import read_score_track
from support.evaluated_run import HOSTILE, PLAIN, RATE, write_recording, write_run, write_truth

CALLS = {HOSTILE: [(1.0, 1.5), (3.0, 4.0)], PLAIN: [(0.5, 0.9)]}
SECONDS = 6.0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("ws")
    write_run(root, CALLS, SECONDS)
    for recording, calls in CALLS.items():
        write_recording(root / "data/audio" / recording, calls, SECONDS)
    write_truth(root / "gt.json", {name: [(*call, 2) for call in calls] for name, calls in CALLS.items()}, SECONDS)
    return root


def plotted(root, out, **more):
    scores = root / "BENCHMARK/scores/m/len200_hop050"
    index = root / "BENCHMARK/runs/m/len200_hop050_th50/evaluation/index.json"
    return plot(root / "data/audio" / HOSTILE, scores, out, index, root / "gt.json", **more)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_of_a_stretch_is_the_same_every_time(workspace, tmp_path, suffix):
    first, second = (plotted(workspace, tmp_path / f"{n}{suffix}", start_s=0.5, end_s=5.0) for n in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_svg_holds_the_hostile_name_as_text_and_the_marks(workspace, tmp_path):
    text = plotted(workspace, tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "&lt;img src=x onerror=boom()&gt;" in text
    assert "$HOME" in text
    assert text.count(">Q2<") == 2
    assert text.count(">target<") == 2
    assert "counts from 0.5" in text


@pytest.mark.parametrize(
    ("settings", "score"),
    [
        ({"threshold": 0.7}, 0.7),
        ({"decoder": "hysteresis", "threshold": 0.7}, 0.7),
        ({"decoder": "hysteresis", "confidence_shift": 2.0}, 1 / (1 + math.exp(-2.0))),
        ({"decoder": "peak", "confidence_shift": 2.0, "temperature": 0.5}, 1 / (1 + math.exp(-1.0))),
        ({"decoder": "hysteresis", "smoothing_s": 0.1}, None),
        ({"decoder": "change"}, None),
    ],
)
def test_the_line_stands_where_a_selection_begins_to_count(settings, score):
    assert reached_score(DecoderSettings(**settings)) == (None if score is None else pytest.approx(score))


def test_without_index_and_truth_the_scores_are_drawn_alone(workspace, tmp_path):
    scores = workspace / "BENCHMARK/scores/m/len200_hop050"
    out = plot(workspace / "data/audio" / PLAIN, scores, tmp_path / "x.png")
    with Image.open(out) as image:
        assert image.size[0] > 1000


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"start_s": 99.0}, "nothing between 99"),
        ({"start_s": 2.0, "end_s": 1.0}, "--end 1 is not after --start 2"),
        ({"start_s": 0.0, "end_s": 9999.0}, "too long for one picture"),
    ],
)
def test_impossible_stretches_are_refused(workspace, tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        plotted(workspace, tmp_path / "x.png", **more)


def test_other_formats_and_unscored_recordings_are_refused(workspace, tmp_path):
    with pytest.raises(InputError, match=r"pictures end in \.png or \.svg"):
        plotted(workspace, tmp_path / "x.jpg")
    with pytest.raises(InputError, match=r"no scores of other\.wav"):
        plot(tmp_path / "other.wav", workspace / "BENCHMARK/scores/m/len200_hop050", tmp_path / "x.png")


def test_the_curve_of_a_stretch_is_that_part_of_the_track(workspace):
    source = find_scores(workspace / "BENCHMARK/scores/m/len200_hop050", HOSTILE)
    track = read_score_track(source.path)
    curve = read_curve(source, 0.9, 3.3)
    keep = (track.end_s > 0.9) & (track.start_s < 3.3)
    np.testing.assert_allclose(curve.p, track.probs[keep, 1])
    np.testing.assert_allclose(curve.time_s, (track.start_s[keep] + track.end_s[keep]) / 2)


def test_a_stretch_beyond_the_scores_has_no_curve(workspace):
    source = find_scores(workspace / "BENCHMARK/scores/m/len200_hop050", HOSTILE)
    assert len(read_curve(source, 100.0, 101.0).p) == 0


def test_a_tone_stands_where_it_sounds(workspace):
    sound = read_sound(workspace / "data/audio" / HOSTILE, 0.0, None)
    level = spectrogram_db(sound.samples, sound.rate, 120, 4000)
    loudest = level.argmax(axis=0)[[24, 70]] * RATE / 2 / (len(level) - 1)
    assert loudest == pytest.approx([440, 440], abs=20)
    assert level.max(axis=0)[70] > level.max(axis=0)[40] + 20


def test_a_click_is_seen_however_long_the_stretch():
    samples = np.zeros(60 * RATE, dtype=np.float32)
    samples[30 * RATE] = 1.0
    level = spectrogram_db(samples, RATE, 100, 4000)
    assert level.max(axis=0).argmax() in (49, 50)
    assert level.max() > -60


def test_silence_has_a_picture():
    level = spectrogram_db(np.zeros(4000, dtype=np.float32), RATE, 50, 4000)
    darkest, brightest = shown_range_db(level)
    assert darkest < brightest
    assert picture(level, 50, 20)[:4] == b"RIFF"
