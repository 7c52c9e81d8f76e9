import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.decoders import DecoderSettings, Windows, decode, noise_between, noise_index, union

GOLDEN = Path(__file__).parents[1] / "golden"


def two_class(rows):
    """Windows of a two-class model from (start, end, p of the target)."""
    start_s, end_s, p = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Windows(start_s, end_s, np.column_stack((1 - p, p)))


def golden_windows():
    case = json.loads((GOLDEN / "windows.json").read_text(encoding="utf-8"))["alpaca48k"]
    return two_class(case["windows"])


def plain_union(windows, threshold):
    """Decode as spec/selections.md reads, one window after the other: [start, end, class, logit, highest p]."""
    selections = []
    for start_s, end_s, probs in zip(windows.start_s.tolist(), windows.end_s.tolist(), windows.probs, strict=True):
        label, p = plain_class(windows, probs)
        if p < threshold or label == windows.noise:
            continue
        last = selections[-1] if selections else None
        if last is not None and last[2] == label and round(start_s - last[1], 3) <= 0:
            last[1] = end_s
            last[3] = max(last[3], p)
        elif last is not None and last[2] != label and start_s < last[1]:
            selections.append([last[1], end_s, label, p])
        else:
            selections.append([start_s, end_s, label, p])
    return [
        (begin_s, finish_s, label, plain_logit(windows, begin_s, finish_s), highest)
        for begin_s, finish_s, label, highest in selections
        if finish_s > begin_s
    ]


def plain_class(windows, probs):
    label = 1 - windows.noise if len(probs) == 2 else max(range(len(probs)), key=lambda index: probs[index])
    return label, float(probs[label])


def plain_logit(windows, begin_s, finish_s):
    total, weight = [], []
    for start_s, end_s, probs in zip(windows.start_s.tolist(), windows.end_s.tolist(), windows.probs, strict=True):
        overlap_s = min(end_s, finish_s) - max(start_s, begin_s)
        if overlap_s > 0:
            p = min(max(plain_class(windows, probs)[1], 1e-6), 1 - 1e-6)
            total.append(overlap_s * math.log(p / (1 - p)))
            weight.append(overlap_s)
    return math.fsum(total) / math.fsum(weight)


def assert_equal(found, expected):
    assert list(zip(found.start_s.tolist(), found.end_s.tolist(), found.class_index.tolist(), strict=True)) == [
        row[:3] for row in expected
    ]
    np.testing.assert_allclose(found.logit_mean, [row[3] for row in expected], rtol=0, atol=1e-9)
    assert found.score_max.tolist() == [row[4] for row in expected]


@st.composite
def scored_windows(draw, n_classes):
    """Windows on a grid of milliseconds, the last one perhaps aligned to the end of the recording."""
    rate = 1000
    length, step = draw(st.integers(1, 500)), draw(st.integers(1, 500))
    count = draw(st.integers(0, 60))
    starts = np.arange(count, dtype=np.float64) * step
    tail = draw(st.integers(0, step - 1))
    if count and tail:
        starts = np.append(starts, starts[-1] + tail)
    probability = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
    row = st.lists(probability, min_size=n_classes, max_size=n_classes)
    probs = draw(st.lists(row, min_size=len(starts), max_size=len(starts)))
    noise = draw(st.integers(0, n_classes - 1))
    start_s = np.array([round(value / rate, 3) for value in starts])
    end_s = np.array([round((value + length) / rate, 3) for value in starts])
    return Windows(start_s, end_s, np.array(probs, dtype=np.float64).reshape(-1, n_classes), noise)


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_union_gives_the_original_programs_selections(threshold):
    expected = np.array(json.loads((GOLDEN / "decode.json").read_text(encoding="utf-8"))[f"alpaca48k@{threshold}"])
    found = union(golden_windows(), threshold)
    np.testing.assert_array_equal(found.start_s, expected[:, 0])
    np.testing.assert_array_equal(found.end_s, expected[:, 1])
    # The golden probabilities are rounded to 7 decimals.
    np.testing.assert_allclose(found.logit_mean, expected[:, 2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_union_of_the_golden_windows_equals_the_plain_loop(threshold):
    assert_equal(union(golden_windows(), threshold), plain_union(golden_windows(), threshold))


@given(scored_windows(n_classes=2), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_union_of_two_classes_equals_the_plain_loop(windows, threshold):
    assert_equal(union(windows, threshold), plain_union(windows, threshold))


@given(scored_windows(n_classes=4), st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_union_of_four_classes_equals_the_plain_loop(windows, threshold):
    assert_equal(union(windows, threshold), plain_union(windows, threshold))


def test_a_window_at_the_threshold_counts():
    assert len(union(two_class([(0, 0.4, 0.9)]), 0.9)) == 1


def test_windows_that_touch_join_and_a_millisecond_parts_them():
    assert union(two_class([(0, 0.4, 1), (0.4, 0.8, 1)]), 0.5).end_s.tolist() == [0.8]
    assert union(two_class([(0, 0.399, 1), (0.4, 0.799, 1)]), 0.5).end_s.tolist() == [0.399, 0.799]


@pytest.mark.parametrize("gap_s", [0.0, 0.0004, 0.0005, 0.0006, 0.001])
def test_a_gap_is_rounded_to_milliseconds(gap_s):
    windows = two_class([(-0.4, 0.0, 1), (gap_s, 0.8, 1)])
    assert_equal(union(windows, 0.5), plain_union(windows, 0.5))
    assert len(union(windows, 0.5)) == (1 if round(gap_s, 3) <= 0 else 2)


def test_a_selection_that_overlaps_one_of_another_class_starts_where_that_ends():
    probs = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float64)
    found = union(Windows(np.array([0, 0.1, 0.2]), np.array([0.4, 0.5, 0.6]), probs), 0.5)
    assert list(zip(found.start_s, found.end_s, found.class_index, strict=True)) == [(0, 0.4, 1), (0.4, 0.6, 2)]


def test_nothing_is_left_of_a_window_that_ends_with_another_class():
    probs = np.array([[0, 1, 0], [0, 0, 1]], dtype=np.float64)
    found = union(Windows(np.array([0, 0.1]), np.array([0.4, 0.4]), probs), 0.5)
    assert found.class_index.tolist() == [1]


def test_a_certain_window_has_a_finite_logit():
    found = union(two_class([(0, 0.4, 1.0)]), 0.5)
    assert found.logit_mean[0] == pytest.approx(math.log((1 - 1e-6) / 1e-6), abs=1e-9)


def test_logits_keep_their_digits_late_in_a_long_recording():
    start_s = np.round(np.arange(1_700_000) * 0.05, 3)
    p = np.full(len(start_s), 1e-6)
    p[-100:-50] = 0.9
    windows = Windows(start_s, np.round(start_s + 0.4, 3), np.column_stack((1 - p, p)))
    found = union(windows, 0.5)
    late = Windows(windows.start_s[-200:], windows.end_s[-200:], windows.probs[-200:])
    assert_equal(found, plain_union(late, 0.5))


def test_no_windows_give_no_selections_and_no_noise():
    nothing = two_class([])
    assert len(union(nothing, 0.5)) == len(noise_between(nothing, union(nothing, 0.5))) == 0


def test_noise_lies_before_between_and_after_selections():
    windows = golden_windows()
    found = union(windows, 0.5)
    noise = noise_between(windows, found)
    assert noise.start_s.tolist() == [0.0, 1.5, 3.0]
    assert noise.end_s.tolist() == [0.05, 1.55, 3.35]
    assert noise.class_index.tolist() == [0, 0, 0]
    expected = [plain_logit(windows, *span) for span in zip(noise.start_s, noise.end_s, strict=True)]
    np.testing.assert_allclose(noise.logit_mean, expected, rtol=0, atol=1e-9)


def test_a_recording_without_selections_is_one_stretch_of_noise():
    windows = golden_windows()
    noise = noise_between(windows, union(windows, 1.0))
    assert (noise.start_s.tolist(), noise.end_s.tolist()) == ([0.0], [8.0])


@given(scored_windows(n_classes=3))
def test_noise_and_selections_do_not_overlap_and_cover_all_windows(windows):
    found = union(windows, 0.5)
    noise = noise_between(windows, found)
    spans = sorted(zip([*found.start_s, *noise.start_s], [*found.end_s, *noise.end_s], strict=True))
    for (_, end_s), (start_s, _) in itertools.pairwise(spans):
        assert end_s <= start_s
    for start_s, end_s in zip(windows.start_s, windows.end_s, strict=True):
        covered = sum(min(end_s, b) - max(start_s, a) for a, b in spans if min(end_s, b) > max(start_s, a))
        assert covered == pytest.approx(end_s - start_s, abs=1e-9)


def test_noise_is_found_by_name_in_any_case_else_first():
    assert noise_index(["hum", "Noise"]) == 1
    assert noise_index(["a", "b", "c"]) == 0


def test_two_classes_take_the_one_that_is_not_noise():
    windows = Windows(np.array([0.0]), np.array([0.4]), np.array([[0.9, 0.1]]), noise=1)
    assert union(windows, 0.5).class_index.tolist() == [0]


@pytest.mark.parametrize(
    ("start_s", "end_s", "probs"),
    [
        ([0.1, 0.0], [0.5, 0.4], [[0, 1], [0, 1]]),
        ([0.0, 0.1], [0.5, 0.4], [[0, 1], [0, 1]]),
        ([0.5], [0.4], [[0, 1]]),
        ([0.0], [0.4], [[1]]),
        ([0.0], [0.4, 0.5], [[0, 1]]),
        ([0.0], [0.4], [[0, math.nan]]),
        ([0.0], [0.4], [[-6, 7]]),
    ],
)
def test_what_is_no_series_of_windows_is_refused(start_s, end_s, probs):
    with pytest.raises(ValueError, match="window"):
        Windows(np.array(start_s), np.array(end_s), np.array(probs, dtype=np.float64))


@given(scored_windows(n_classes=3), st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_the_registry_knows_union_by_the_name_that_a_cfg_gives(windows, threshold):
    found = decode(windows, DecoderSettings(decoder="union", threshold=threshold))
    assert_equal(found, plain_union(windows, threshold))
    np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(-found.logit_mean)))
