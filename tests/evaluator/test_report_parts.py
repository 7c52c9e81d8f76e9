"""The report's pure parts: events, rates, charts, what is chosen, what is said."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hum_evaluator.leakage import Certificate, Seen
from hum_evaluator.metrics import outcome
from hum_evaluator.report import charts, gallery, rates, words
from hum_evaluator.report.build import _place
from hum_evaluator.report.curves import PrPoint, curve_of_forest
from hum_evaluator.report.events import (
    NEVER_SCORED,
    NO_CALL,
    NOTHING_HERE,
    TURNED_DOWN,
    edge_errors_ms,
    events,
    selections_alone,
    with_turned_down,
)
from hum_evaluator.report.panel import _clock, _qualities
from hum_evaluator.report.runs import Layer
from hum_evaluator.report.svg import Axis, Chart, axis, number, strip
from hum_evaluator.report.training import parse_curves, read_training
from hum_evaluator.stretch import Curve, Mark, Sound
from hum_evaluator.truth import GroundTruth
from hum_shared.errors import TableError
from hum_shared.index import CorpusEntry, PredictionEntry, PredictionIndex, PredictionMeta, RecordingInfo, read_index
from hum_shared.intervals import as_intervals
from support.evaluated_run import PLAIN, write_run

TAPE = "387_20201207_cut.wav"
HOSTILE = "</text><script>boom()</script> 'Ä' \"$1\" & {{ 1 }}"
SCORED = [RecordingInfo(name=TAPE, tape=TAPE, offset_s=0, dur_s=100)]


def call(start_s, end_s, quality=2, tape=TAPE, uid=1):
    return CorpusEntry(
        uid=uid, clip_path=tape, quality=quality, dur_s=end_s - start_s, clip_start_s=start_s, clip_end_s=end_s,
        raw_start_s=start_s, raw_end_s=end_s,
    )  # fmt: skip


def selection(start_s, end_s, tape=TAPE, **more):
    return PredictionEntry(
        uid=1, pred_path="t", tape=tape, recording=tape, start_s=start_s, end_s=end_s, dur_s=end_s - start_s, **more
    )


def truth_of(*calls):
    by_tape = {}
    for one in sorted(calls, key=lambda c: c.raw_start_s):
        by_tape.setdefault(one.tape, []).append(one)
    return GroundTruth({tape: tuple(rows) for tape, rows in by_tape.items()}, None)


def kinds(found):
    return [(event.kind, event.why) for event in found]


def test_every_call_and_selection_is_told_what_became_of_it():
    calls = [call(1, 2), call(10, 11), call(20, 21), call(30, 31), call(31.5, 32.5), call(200, 201)]
    selections = [selection(1, 2.2), selection(5, 6), selection(19.8, 24), selection(29, 33)]
    found = events(truth_of(*calls), selections, SCORED, 0.4)
    assert kinds(found) == [
        ("hit", ""),
        ("alarm", NO_CALL),
        ("miss", NOTHING_HERE),
        ("alarm", "on a call, but edges too far off (overlap 0.24, needed 0.40)"),
        ("miss", "selected, but with edges too far off (overlap 0.24)"),
        ("alarm", "covers several calls at once (2)"),
        ("miss", "swallowed by a selection that covers several calls"),
        ("miss", "swallowed by a selection that covers several calls"),
        ("miss", NEVER_SCORED),
    ]


def test_a_call_that_the_forest_turned_down_says_so():
    truth = truth_of(call(1, 2, uid=1), call(5, 6, uid=2), call(8, 9, uid=3))
    baseline = events(truth, [selection(1, 2), selection(5, 6)], SCORED, 0.4)
    found = with_turned_down(events(truth, [selection(5, 6)], SCORED, 0.4), baseline)
    assert kinds(found) == [("miss", TURNED_DOWN), ("hit", ""), ("miss", NOTHING_HERE)]


def test_a_second_selection_on_a_found_call_is_told():
    found = events(truth_of(call(1, 2)), [selection(1, 1.9), selection(1.9, 2.1)], SCORED, 0.4)
    assert kinds(found) == [("hit", ""), ("alarm", "a second selection on a call that was found")]


intervals = st.lists(
    st.tuples(st.integers(0, 80), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


@given(intervals, intervals)
def test_events_count_as_the_metrics_do(calls, selections):
    found = events(truth_of(*(call(*one) for one in calls)), [selection(*one) for one in selections], SCORED, 0.4)
    measured = outcome(as_intervals(sorted(calls)), [2] * len(calls), as_intervals(selections), 0.4, "optimal")
    assert sum(event.kind == "hit" for event in found) == measured.tp
    assert sum(event.kind == "miss" for event in found) == len(calls) - measured.tp
    assert sum(event.kind == "alarm" for event in found) == len(selections) - measured.tp


def test_noise_rows_are_no_events():
    assert selections_alone([selection(1, 2, label="Noise"), selection(3, 4, label="target")])[0].start_s == 3


def test_edge_errors_are_signed():
    found = events(truth_of(call(1, 2)), [selection(0.9, 2.2)], SCORED, 0.4)
    starts, ends = edge_errors_ms(found)
    assert (starts, ends) == ([pytest.approx(-100)], [pytest.approx(200)])


def test_the_sound_of_a_miss_comes_from_the_recording_that_was_scored():
    other = RecordingInfo(name="other.wav", tape=TAPE, offset_s=50, dur_s=50)
    (event,) = events(truth_of(call(60, 61)), [], [*SCORED[:0], other], 0.4)
    assert (event.recording, event.offset_s) == ("other.wav", 50)


def test_misses_are_shown_best_quality_and_least_heard_first():
    calls = [call(1, 2, 1), call(3, 4, 3), call(5, 6, 3), call(7, 8, None)]
    found = events(truth_of(*calls), [], SCORED, 0.4)
    misses, alarms, hits = gallery.choose(found, 3, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.0})
    assert [event.start_s for event in misses.events] == [5, 3, 1]
    assert (alarms.events, hits.events) == ((), ())


def test_alarms_are_shown_surest_first_and_never_scored_calls_not_at_all():
    entries = [selection(1, 2, rf_prob=0.5), selection(3, 4, rf_prob=0.9), selection(5, 6)]
    found = events(truth_of(call(200, 201)), entries, SCORED, 0.4)
    misses, alarms, _ = gallery.choose(found, 2)
    assert misses.events == ()
    assert [event.start_s for event in alarms.events] == [3, 1]


def test_without_truth_the_surest_the_least_sure_and_a_sample_are_shown():
    found = selections_alone([selection(n, n + 0.5, rf_prob=n / 10) for n in range(10)])
    surest, doubtful, sample = gallery.choose(found, 2)
    assert [event.start_s for event in surest.events] == [9, 8]
    assert [event.start_s for event in doubtful.events] == [5, 4]
    assert gallery.choose(found, 2)[2] == sample


def test_a_stretch_is_the_event_with_its_call_and_up_to_a_second_around():
    found = events(truth_of(call(1, 3)), [selection(1.5, 3.5)], SCORED, 0.4)
    assert gallery.stretch_of(found[0]) == (0, 4.5)


def test_less_is_shown_around_a_short_event():
    found = events(truth_of(call(10, 10.1)), [], SCORED, 0.4)
    assert gallery.stretch_of(found[0]) == pytest.approx((9.75, 10.35))


def test_rates_are_counts_over_scored_hours():
    recordings = [RecordingInfo(name="a", tape=TAPE, offset_s=0, dur_s=1800)]
    found = events(truth_of(call(1, 2), call(5, 6)), [selection(1, 2)], recordings, 0.4)
    assert rates.by_tape(found, recordings) == [(TAPE, 4.0, 2.0)]
    assert rates.by_hour(found, recordings) == ("hour of the tape", [(0.0, 4.0, 2.0)])


def test_rates_count_what_was_scored_once_and_no_more():
    whole = RecordingInfo(name="a", tape=TAPE, offset_s=0, dur_s=1800)
    twice = [whole, whole.model_copy(update={"name": "b", "offset_s": 900, "dur_s": 900})]
    assert Layer(Path("m/v"), "evaluation", PredictionIndex(meta={"recordings": twice}, entries=[])).hours == 0.5
    partly = [whole.model_copy(update={"scored_s": [(0.0, 900.0)]})]
    found = events(truth_of(call(1, 2), call(1500, 1501)), [selection(1, 2)], partly, 0.4)
    assert kinds(found) == [("hit", ""), ("miss", NEVER_SCORED)]
    for recordings, rate in ((twice, 4.0), (partly, 4.0)):
        assert rates.by_tape(found, recordings)[0][1] == rate
        assert rates.by_hour(found, recordings)[1][0][1] == rate


def test_hours_are_those_of_the_day_where_names_tell_the_time():
    tape = "A_20201207_233000.wav"
    recordings = [RecordingInfo(name=tape, tape=tape, offset_s=0, dur_s=3600)]
    found = selections_alone([selection(10, 11, tape), selection(1900, 1901, tape)])
    assert rates.by_hour(found, recordings) == ("hour of the day", [(0.0, 0.0, 2.0), (23.0, 0.0, 2.0)])


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(1, 12))
def test_ticks_are_round_and_lie_on_the_axis(low, length, count):
    found = axis("x", low, low + length, count)
    slack = 1e-6 * (found.high - found.low)
    assert all(found.low - slack <= tick <= found.high + slack for tick in found.ticks)
    assert len(found.ticks) <= 2 * count + 2


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-0.0001, "0"), (1.5, "1.5"), (2.0, "2"), (1 / 3, "0.333")])
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_chart_is_well_formed_and_escapes_names():
    chart = Chart(Axis(0, 1, (0.0, 1.0), HOSTILE), axis("y", 0, 10), HOSTILE)
    chart.line([(0, 0), (1, 10)], "c0", HOSTILE)
    chart.dot((0.5, 5), "c1", HOSTILE)
    chart.bar(0.1, 0.2, 5, "hit", HOSTILE)
    chart.text((0, 0), HOSTILE)
    root = ET.fromstring(chart.svg())
    assert root.attrib["aria-label"] == HOSTILE
    assert "<script" not in chart.svg()


def test_what_lies_beyond_an_axis_is_drawn_at_its_end():
    chart = Chart(axis("x", 0, 1), axis("y", 0, 1), "")
    assert chart.at((5, -5)) == chart.at((1, 0))


def test_a_strip_does_not_grow_with_its_marks():
    few, many = (
        strip([("hit", [(n * 3600 / count, n * 3600 / count + 0.1) for n in range(count)])], 3600, "x")
        for count in (2000, 200_000)
    )
    assert len(many) <= len(few)
    ET.fromstring(many)


def test_the_shortest_mark_at_the_very_end_is_seen():
    assert "M999 1h1v12H999z" in strip([("miss", [(3600.0, 3600.0)])], 3600, "x")


@pytest.mark.parametrize(
    "made",
    [
        lambda: charts.precision_recall([("c0", HOSTILE, [])], [("c0", HOSTILE, (0.0, 0.0), 0.5)]),
        lambda: charts.precision_recall([("c0", "a", [(0.9, 0.8), (0.5, 0.99)])], [("c0", "a", (0.9, 0.8), None)]),
        lambda: charts.edge_histograms([0.0], [0.0])[0],
        lambda: charts.rates_over_time([], "hour", with_truth=True),
        lambda: charts.rates_over_time([(0.0, 0.0, 0.0)], "hour", with_truth=False),
        lambda: charts.rates_by_tape([(HOSTILE, 1.0, 2.0)]),
        lambda: charts.confidence_histogram([0.0, 1.0]),
        lambda: charts.timeline([], 0.0, with_truth=True),
    ],
)
def test_charts_of_little_are_charts(made):
    assert isinstance(made(), Markup)
    ET.fromstring(made())


def test_the_gallery_picture_and_sound():
    rate = 8000
    samples = (0.01 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.float32)
    sound = Sound(samples, rate, 10.0, 12.0)
    curve = Curve(np.array([10.2, 11.8]), np.array([0.1, 0.9]))
    svg = gallery.spectrogram_svg(sound, 4000, [Mark(10.5, 11, HOSTILE)], [Mark(9, 99, "0.95")], curve, 0.5, HOSTILE)
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"] == HOSTILE
    assert "<script" not in svg
    address, gain_db = gallery.sound_mp3(sound)
    assert address.startswith("data:audio/mpeg;base64,")
    assert gain_db == pytest.approx(20 * np.log10(70), abs=0.5)
    assert gallery.sound_mp3(sound) == (address, gain_db)


def test_silence_is_not_made_louder():
    assert gallery.sound_mp3(Sound(np.zeros(8000, dtype=np.float32), 8000, 0, 1))[1] == 0


def test_the_words_name_reasons_tape_and_edges():
    calls = [call(1, 2, 1), call(10, 11, 3), call(1, 2, 3, tape="b.wav")]
    found = events(truth_of(*calls), [selection(1.1, 2.2)], SCORED, 0.4)
    tapes = {TAPE: {"fp": 0, "fn": 1, "f1": 0.667}, "b.wav": {"fp": 0, "fn": 5, "f1": 0.0}}
    said = words.where_it_fails(found, tapes)
    assert said == [
        "Of 2 missed calls: 1 × its recording was never scored; 1 × nothing was selected here.",
        "It finds 100 % of quality 1, 0 % of quality 3 (3 is the best).",
        "There is no call of quality 2 here: nothing is known about such calls.",
        "Most errors lie on b.wav: 5 missed, 0 false alarms, F1 0.000.",
        "Half of the hits start within 100 ms and end within 200 ms of the call, nine of ten within 100 and 200 ms; "
        "the middle one starts 100 ms too late and ends 200 ms too late.",
    ]


def test_a_call_that_is_found_with_wrong_edges_is_said_to_count_twice():
    found = events(truth_of(call(1, 2)), [selection(1.9, 5)], SCORED, 0.4)
    assert "1 false alarm of these is on a call that counts as missed, too." in words.where_it_fails(found, {})


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_the_interval_of_a_count_is_garwoods(count, low, high):
    assert words.poisson_interval(count) == pytest.approx((low, high), rel=1e-3)


def test_false_alarms_per_hour_come_with_what_chance_alone_allows():
    row = {"tp": 88, "n_gt": 90, "recall": 88 / 90, "fp": 1, "precision": 88 / 89, "f1": 0.983, "gt_per_hour": 600}
    (_, _, said) = words.best_run(Layer(Path("runs/m/v"), "evaluation", PredictionIndex(entries=[]), row), 0.15)
    assert said.startswith(
        "1 false alarm in 9 minutes is 6.7 per hour (by chance anything from 0.2 to 37.1), where there are 600 calls"
    )


def test_the_tapes_that_figures_come_from_are_named():
    truth = truth_of(call(1, 2), call(3, 4), call(1, 2, tape="b.wav"))
    assert (
        words.judged_on(truth)
        == f"All figures come from 3 labelled calls on 2 tapes ({', '.join(sorted((TAPE, 'b.wav')))})."
    )
    recordings = tuple(RecordingInfo(name=f"{n}.wav", tape=f"{n}.wav", offset_s=0, dur_s=3600) for n in range(8))
    said = words.judged_on(GroundTruth({}, recordings))
    assert said.startswith("All figures come from 0 labelled calls on 8 tapes of 8.0 hours (0.wav, ")
    assert said.endswith("5.wav and 2 more).")


def test_what_every_run_has_seen_is_named_once():
    seen = Seen("training", {"train": ("a.wav", "b.wav"), "val": ("b.wav",)}, {})
    tuned, filtered = Seen("tuning", {"tuned": ("c.wav",)}, {}), Seen("filter", {"candidates": ("a.wav",)}, {})
    certificates = {
        ("n", "evaluation"): Certificate((seen, tuned), (), ()),
        ("m", "evaluation"): Certificate((seen, tuned), (), ()),
        ("m", "postrf"): Certificate((seen, tuned, filtered), (), ()),
        ("o", "evaluation"): Certificate((), (), ()),
    }
    assert words.learned_from(certificates) == [
        "Tapes behind m, n: training: 2 tapes (a.wav, b.wav); tuning: 1 tape (c.wav).",
        "Tapes behind m with forest: training: 2 tapes (a.wav, b.wav); tuning: 1 tape (c.wav); filter: 1 tape (a.wav).",
    ]
    assert words.learned_from({}) == []


def test_no_tape_is_named_where_errors_are_spread():
    found = events(truth_of(call(1, 2), call(1, 2, tape="b.wav")), [], SCORED, 0.4)
    tapes = {TAPE: {"fp": 0, "fn": 1, "f1": 0.0}, "b.wav": {"fp": 1, "fn": 0, "f1": 0.0}}
    assert words.worst_tape(tapes) is None
    assert "No single one of the 2 tapes has most of the errors." in words.where_it_fails(found, tapes)
    assert words.worst_tape({}) is None


def test_the_curve_of_a_forest_begins_with_all_that_it_let_pass():
    entries = [selection(n, n + 0.5, rf_prob=0.70006 + n / 1000) for n in range(40)]
    line = curve_of_forest(entries, truth_of(*(call(n, n + 0.5, uid=n) for n in range(40))), 0.4, "optimal")
    assert line[0].threshold == 0.70006
    assert line[0].recall == 1


def test_calls_are_counted_by_quality_and_by_what_became_of_them():
    calls = [call(1, 2, 3), call(10, 11, 3), call(20, 21, 1), call(30, 31, 1)]
    found = events(truth_of(*calls), [selection(1, 2), selection(20.9, 25)], SCORED, 0.4)
    assert _qualities(found) == [
        ("Q3", 1, 1, {NOTHING_HERE: 1, "selected, but with edges too far off": 0}),
        ("Q1", 0, 2, {NOTHING_HERE: 1, "selected, but with edges too far off": 1}),
    ]


def test_a_model_that_saw_nothing_of_the_benchmark_is_named():
    seen = tuple(Seen(source, {}, {}) for source in ("training", "tuning"))
    clean, unsure = Certificate(seen, (), ()), Certificate((), ("no card",), ())
    (said,) = words.not_seen({("a", "evaluation"): clean, ("b", "evaluation"): clean, ("b", "postrf"): unsure})
    assert said.endswith("nothing that a learnt from holds any of these tapes (by tape and by digest of the audio).")
    (said,) = words.not_seen({("a", "evaluation"): Certificate(seen, (), (), by_audio=False)})
    assert said.endswith("(by tape; not all digests are known).")
    assert words.not_seen({("b", "postrf"): unsure}) == []


def test_the_next_of_the_same_layer_is_told_where_the_next_is_of_the_other():
    order = [
        Layer(Path("runs/m") / variant, layer, PredictionIndex(entries=[]), {"f1": f1})
        for variant, layer, f1 in (("v", "evaluation", 0.9), ("w", "postrf", 0.8), ("w", "evaluation", 0.7))
    ]
    paired = [a_difference(-0.3, -0.1, -0.2, "w", "with the best run", "evaluation")]
    assert words.rivals(order, paired).endswith("m · w · evaluation has F1 0.700: clearly worse (ΔF1 -0.2).")


def test_the_setting_of_a_layer_is_told():
    said = {"threshold": 0.5, "decoder": "hysteresis", "rf_threshold": 0.22061}
    index = PredictionIndex.model_validate({"meta": said, "entries": []})
    assert Layer(Path("r/m/v"), "evaluation", index).setting.endswith("no forest, decoder hysteresis, threshold 0.5")
    assert Layer(Path("r/m/v"), "postrf", index).setting.endswith("selections, threshold 0.221")
    assert Layer(Path("r/m/v"), "postrf", PredictionIndex(entries=[])).chosen is None


def test_curves_of_every_network_of_a_model_are_read(tmp_path):
    for name in ("dense/summaries/fold0", "dense/summaries/fold1", "plain/summaries"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "curves.csv").write_text("epoch,train_loss\n1,0.5\n")
    found = read_training(tmp_path, ["dense", "none", "plain"])
    assert [one.model for one in found] == ["dense · network 1", "dense · network 2", "plain"]


def a_difference(low, high, delta, variant="v", compared="filter with baseline", layer="postrf"):
    return {
        "model": "m", "variant": variant, "layer": layer, "other_model": "m", "other_variant": "v",
        "other_layer": "evaluation", "compared": compared, "delta_f1": delta, "delta_f1_low": low,
        "delta_f1_high": high, "verdict": f"ΔF1 {delta}",
    }  # fmt: skip


def test_what_the_forest_gains_is_said_with_its_certainty():
    paired = [
        a_difference(0.1, 0.3, 0.2, "a"),
        a_difference(-0.3, -0.1, -0.2, "b"),
        a_difference(-0.1, 0.1, 0.0, "c"),
        a_difference(None, None, 0.1, "d"),
    ]
    counted, most = words.gain_of_forest(paired, None)
    assert counted.startswith("Of 4 runs, F1 is clearly better in 1, clearly worse in 1, within chance in 1, not to be")
    assert most == "It helps most in m · a: ΔF1 0.2."
    assert words.gain_of_forest([], None) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.2, 0.1, "within chance"), (-0.2, -0.1, "clearly worse"), (None, None, "not to be judged on so little")],
)
def test_the_runner_up_is_told_with_the_certainty_of_its_distance(low, high, expected):
    order = [
        Layer(Path("runs/m") / variant, "evaluation", PredictionIndex(entries=[]), {"f1": f1})
        for variant, f1 in (("v", 0.9), ("w", 0.8))
    ]
    paired = [a_difference(low, high, -0.1, "w", "with the best run", "evaluation")]
    assert words.rivals(order, paired) == f"Next comes m · w · evaluation with F1 0.800: {expected} (ΔF1 -0.1)."
    assert words.rivals(order[:1], paired) == ""
    assert len(words.equals(order[0], paired)) == (expected == "within chance")


def test_a_better_threshold_and_a_poor_best_run_are_told():
    layer = Layer(Path("runs/m/v"), "evaluation", PredictionIndex(entries=[]), {"f1": 0.3})
    points = [PrPoint(0.5, 0.3, 0.3), PrPoint(0.9, 0.8, 0.8), PrPoint(0.99, 0.0, 0.0)]
    (said,) = words.other_threshold(layer, points)
    assert said.startswith("At a threshold of 0.9 its scores would have given F1 0.800")
    assert words.other_threshold(layer, points[:1]) == []
    assert words.other_threshold(layer, []) == []
    assert [line for line in words.cautions([layer], 100) if "Even the best run is poor (F1 0.300)" in line]


def test_training_curves_keep_gaps_and_refuse_other_tables(tmp_path):
    found = parse_curves("epoch,val_f1\n1,\n2,0.5\n3,nan\n", tmp_path)
    assert found == {"epoch": [1, 2, 3], "val_f1": [None, 0.5, None]}
    with pytest.raises(TableError, match="no column epoch; found: a, b"):
        parse_curves("a,b\n1,2\n", tmp_path)


@pytest.mark.parametrize(("seconds", "shown"), [(59.94, "0:00:59.9"), (59.97, "0:01:00.0"), (3599.96, "1:00:00.0")])
def test_a_minute_has_no_sixtieth_second(seconds: float, shown: str) -> None:
    assert _clock(seconds) == shown


@pytest.mark.parametrize(
    ("runs", "place"), [("work/BENCHMARK/runs", "work"), ("work/BENCHMARK/sets/field/runs", "work, set field")]
)
def test_a_report_is_named_for_its_workspace_and_set(tmp_path: Path, runs: str, place: str) -> None:
    assert _place(tmp_path / runs) == place


def test_pictures_of_a_filtered_layer_show_what_the_decoder_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0, threshold=0.6)
    selected = read_index(run / "evaluation" / "index.json", PredictionIndex)
    filtered = PredictionIndex(meta=PredictionMeta.model_validate({"rf_threshold": 0.3}), entries=[])
    assert Layer(run, "evaluation", selected).counts_from == 0.6
    assert Layer(run, "postrf", filtered).counts_from == 0.6
