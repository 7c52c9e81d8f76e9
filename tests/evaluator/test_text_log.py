import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_evaluator.text_log import parse_log, recording_in
from hum_shared.errors import TableError
from support.score_tracks import log_header, two_class_windows

WINDOWS = [(0.0, 0.4, 0.512345), (0.05, 0.45, 1e-05), (0.1, 0.5, 0.9999)]


def lines(messages, prefix="12:00:01|I|"):
    return [prefix + message for message in messages]


def header(**more):
    return log_header("/data/tapes/387_20201207_cut.wav_900_1800.wav", 24_000, **more)


@pytest.mark.parametrize("prefix", ["12:00:01|I|", "12:00:01|INFO|", "2020-12-07 12:00:01,123|INFO|"])
def test_windows_of_two_classes_are_read(prefix):
    log = parse_log(lines(header() + two_class_windows(WINDOWS), prefix))
    assert list(zip(log.start_s, log.end_s, log.probs[:, 1], strict=True)) == WINDOWS
    np.testing.assert_allclose(log.probs.sum(axis=1), 1)


def test_the_header_names_recording_classes_frequencies_and_length():
    log = parse_log(lines(header(classes={"noise": 0, "hum": 1}) + two_class_windows(WINDOWS)))
    assert log.recording == "387_20201207_cut.wav_900_1800.wav"
    assert log.classes == ("noise", "hum")
    assert (log.low_hz, log.high_hz) == (100, 4000)
    assert log.dur_s == 0.5


def test_frequencies_come_from_the_prediction_line_without_data_options():
    messages = [message for message in header() if not message.startswith("dataOpts")]
    log = parse_log(lines(messages + two_class_windows(WINDOWS)))
    assert (log.low_hz, log.high_hz) == (0, 8000)
    assert log.dur_s == 0.5  # the last window's end: without a rate the samples say nothing


def test_what_a_bare_log_does_not_say_is_unknown():
    log = parse_log(lines(two_class_windows(WINDOWS)))
    assert (log.recording, log.low_hz, log.high_hz) == (None, None, None)
    assert log.classes == ("noise", "target")


@pytest.mark.parametrize("prefix", ["12:00:01|I|", ""])
@pytest.mark.parametrize("one_line", [True, False])
def test_windows_of_more_classes_take_their_output_layer(prefix, one_line):
    classes = {"noise": 0, "hum": 1, "alarm-call": 2}
    messages = header(classes=classes)
    text = lines(messages)
    for number, probs in enumerate([(0.2, 0.7, 0.1), (0.1, 0.2, 0.7)]):
        text.append(f"12:00:01|I|time={number}.0-{number}.4, pred=1, pred_class=alarm-call-2, prob=0.7")
        layer = [f"{name}={p};" for name, p in zip(classes, probs, strict=True)]
        if one_line:
            text.append(prefix + "output_layer: " + " ".join(layer))
        else:
            text += [prefix + "output_layer:", *(prefix + part for part in layer), ""]
    log = parse_log(text)
    assert log.classes == ("noise", "hum", "alarm-call")
    assert log.probs.tolist() == [[0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]


def test_columns_follow_class_indices_not_the_order_in_the_log():
    text = lines(
        [
            *header(classes={"hum": 2, "alarm": 1, "noise": 0}),
            "time=0.0-0.4, pred=1, pred_class=hum-2, prob=0.7",
            "output_layer:",
            "hum=0.7;",
            "noise=0.1;",
            "alarm=0.2;",
        ]
    )
    log = parse_log(text)
    assert (log.classes, log.probs.tolist()) == (("noise", "alarm", "hum"), [[0.1, 0.2, 0.7]])


def test_debug_lines_and_lines_of_other_kinds_are_skipped():
    text = lines(header() + two_class_windows(WINDOWS[:1]))
    text += ["12:00:02|D|loading", "12:00:02|W|slow disk", *lines(two_class_windows(WINDOWS[1:])), "12:00:09|I|done"]
    assert len(parse_log(text).start_s) == 3


def test_a_debug_path_does_not_name_the_recording():
    text = ["12:00:00|D|/tmp/cache.wav", *lines(header() + two_class_windows(WINDOWS))]
    assert recording_in(text) == "387_20201207_cut.wav_900_1800.wav"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/d/Ä weide.v2 'x' $HOME \"q\".WAV", "Ä weide.v2 'x' $HOME \"q\".WAV"),
        ("D:\\tapes\\387_20201207_cut.wav", "387_20201207_cut.wav"),
        ("/d/a|I|b.flac", "a|I|b.flac"),
        ("a\u2028b.wav", "a\u2028b.wav"),
    ],
)
def test_hostile_recording_names_are_kept(path, name):
    assert recording_in(lines([path])) == name


def test_a_log_without_windows_is_refused():
    with pytest.raises(TableError, match="holds no windows"):
        parse_log(lines(header()))


def test_a_window_that_is_cut_off_is_refused_with_its_line():
    with pytest.raises(TableError, match=r"line 11: .*no complete window"):
        parse_log(lines([*header(), *two_class_windows(WINDOWS[:1]), "time=0.05-0.45, pred=0, pr"]))


def test_a_cut_off_output_layer_is_refused_with_its_line():
    text = lines(
        [
            *header(classes={"noise": 0, "hum": 1, "alarm": 2}),
            "time=0.0-0.4, pred=1, pred_class=hum-1, prob=0.7",
            "output_layer:",
            "noise=0.1;",
            "hum=0.7;",
            "alarm=0.2;",
            "time=0.1-0.5, pred=1, pred_class=hum-1, prob=0.7",
            "output_layer:",
            "noise=0.1;",
        ]
    )
    with pytest.raises(TableError, match=r"line 15: .*found: noise"):
        parse_log(text)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(0, 1000), st.floats(0, 1)).map(
            lambda row: (row[0] / 1000, round((row[0] + row[1]) / 1000, 3), row[2])
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_window_that_is_written_is_read_exactly(windows):
    log = parse_log(lines(two_class_windows(windows)))
    assert list(zip(log.start_s, log.end_s, log.probs[:, 1], strict=True)) == windows


def test_a_log_that_ends_more_than_a_hop_before_its_recording_says_so():
    whole = parse_log(lines(header() + two_class_windows(WINDOWS)))
    assert whole.unscored_s == 0
    cut = parse_log(lines(header() + two_class_windows(WINDOWS[:1])))
    assert cut.unscored_s == pytest.approx(0.1)
