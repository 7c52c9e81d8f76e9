import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_shared.decoders import DecoderSettings, Windows, decode
from hum_shared.decoders.candidates import accepting_level, groups_across_shallow_gaps
from hum_shared.decoders.change import boxes, boxes_of_all, joined_boxes
from hum_shared.decoders.curve import above, joined, score_curve, triangular
from hum_shared.decoders.hysteresis import stretches, with_weak
from hum_shared.decoders.peak import peaks

CURVE_DECODERS = ["hysteresis", "peak", "change"]
WIDE = {"threshold": 0.5, "step_s": 0.05}


def frames(p, step_s=0.01, noise=0):
    """Frames that tile a recording, from p of the target or rows of classes."""
    p = np.asarray(p, dtype=np.float64)
    probs = np.column_stack((1 - p, p)) if p.ndim == 1 else p
    start_s = np.arange(len(p)) * step_s
    return Windows(start_s, start_s + step_s, probs, noise, start_s + step_s / 2)


def call(n, first, stop, high=0.98, low=0.01):
    p = np.full(n, low)
    p[first:stop] = high
    return p


def spans(found):
    return list(zip(found.start_s.tolist(), found.end_s.tolist(), strict=True))


probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.5, 0.5, 0.7, 1.0]))
tracks = st.lists(probabilities, min_size=1, max_size=60).map(frames)


# --- what all of them do ---------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_a_clear_call_is_found_where_it_is(decoder):
    found = decode(frames(call(300, 100, 150)), DecoderSettings(decoder=decoder, **WIDE))
    assert spans(found) == [(pytest.approx(1.0, abs=0.003), pytest.approx(1.5, abs=0.003))]
    assert found.score_max.tolist() == [0.98]
    assert found.confidence[0] == pytest.approx(0.98, abs=0.001)
    assert found.logit_mean[0] > 3


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_calls_cut_by_the_recordings_ends_reach_them(decoder):
    p = call(300, 0, 50)
    p[250:] = 0.98
    found = decode(frames(p), DecoderSettings(decoder=decoder, **WIDE))
    assert found.start_s[0] == pytest.approx(0.0, abs=1e-9)
    assert found.end_s[-1] == pytest.approx(3.0, abs=1e-9)


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
@pytest.mark.parametrize("p", [[], [0.9], [0.1], [0.0, 0.0], [1.0, 1.0]])
def test_very_short_recordings_are_decoded(decoder, p):
    found = decode(frames(np.array(p)), DecoderSettings(decoder=decoder, **WIDE))
    assert len(found) == (1 if any(value > 0.5 for value in p) else 0)


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_wide_windows_score_their_centres(decoder):
    n, step_s, window_s = 400, 0.01, 0.4
    start_s = np.arange(n) * step_s
    centre_s = start_s + window_s / 2
    p = np.where((centre_s >= 1.0) & (centre_s < 1.6), 0.99, 0.01)
    # Reported times are rounded and an odd sample short; the centres are exact.
    windows = Windows(np.round(start_s, 2), np.round(start_s + window_s - 0.004, 3), np.column_stack((1 - p, p)), 0)
    exact = Windows(windows.start_s, windows.end_s, windows.probs, 0, centre_s)
    (found,) = spans(decode(exact, DecoderSettings(decoder=decoder, **WIDE)))
    assert found == (pytest.approx(0.995, abs=0.003), pytest.approx(1.595, abs=0.003))
    (guessed,) = spans(decode(windows, DecoderSettings(decoder=decoder, **WIDE)))
    assert guessed[0] == pytest.approx(found[0] - 0.002, abs=0.001)


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_edges_can_be_shifted_but_not_out_of_the_recording(decoder):
    plain = DecoderSettings(decoder=decoder, **WIDE)
    moved = plain.with_values(onset_shift_s=-0.02, offset_shift_s=0.05)
    windows = frames(call(300, 100, 150))
    (before,), (after,) = spans(decode(windows, plain)), spans(decode(windows, moved))
    assert after == (pytest.approx(before[0] - 0.02), pytest.approx(before[1] + 0.05))
    far = plain.with_values(onset_shift_s=-5.0, offset_shift_s=5.0)
    assert spans(decode(windows, far)) == [(0.0, pytest.approx(3.0))]


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_what_a_shift_leaves_of_a_call_at_the_end_is_judged_by_its_length(decoder):
    shifted = {"decoder": decoder, "threshold": 0.5, "onset_shift_s": -0.1, "offset_shift_s": -0.1, "step_s": 0.05}
    windows = frames(call(300, 0, 30))  # 0.3 s, of which 0.2 s are left
    assert len(decode(windows, DecoderSettings(**shifted, min_duration_s=0.15))) == 1
    assert len(decode(windows, DecoderSettings(**shifted, min_duration_s=0.25))) == 0


def test_a_score_that_only_touches_the_threshold_is_no_selection():
    """Between two frames its level is crossed twice within a millisecond."""
    p = np.full(60, 0.01)
    p[10:16], p[26], p[37:43] = 0.95, 0.5001, 0.7
    found = decode(frames(p, step_s=0.05), DecoderSettings(decoder="hysteresis"))
    assert len(found) == 2


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_shifted_neighbours_meet_in_the_middle(decoder):
    p = call(300, 100, 120) + call(300, 130, 150)
    wide = DecoderSettings(decoder=decoder, threshold=0.5, step_s=0.02, onset_shift_s=-0.1, offset_shift_s=0.1)
    found = decode(frames(p), wide)
    assert found.end_s[0] == found.start_s[1] == pytest.approx(1.25, abs=0.002)


@pytest.mark.parametrize("decoder", ["hysteresis", "peak"])
def test_near_neighbours_are_bridged_and_short_ones_dropped(decoder):
    p = call(400, 100, 120) + call(400, 124, 150) + call(400, 300, 304)
    plain = DecoderSettings(decoder=decoder, threshold=0.5)
    assert len(decode(frames(p), plain)) == 3
    assert len(decode(frames(p), plain.with_values(min_gap_s=0.05))) == 2
    assert len(decode(frames(p), plain.with_values(min_duration_s=0.1))) == 2
    (one,) = spans(decode(frames(p), plain.with_values(min_gap_s=0.05, min_duration_s=0.1)))
    assert one == (pytest.approx(1.0, abs=0.005), pytest.approx(1.5, abs=0.005))


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
def test_classes_are_kept_apart_and_argmax_noise_does_not_count(decoder):
    rows = np.full((400, 3), (0.98, 0.01, 0.01))
    rows[100:150] = (0.02, 0.95, 0.03)
    rows[150:200] = (0.02, 0.03, 0.95)
    rows[300:350] = (0.55, 0.45, 0.0)
    found = decode(frames(rows), DecoderSettings(decoder=decoder, threshold=0.4, step_s=0.05))
    assert found.class_index.tolist() == [1, 2]
    assert found.end_s[0] <= found.start_s[1] == pytest.approx(1.5, abs=0.01)


def test_a_long_selection_leaves_no_room_for_those_of_another_class_within_it():
    rows = np.full((100, 3), (0.1, 0.9, 0.0))
    rows[20:30] = rows[40:50] = (0.0, 0.45, 0.55)
    found = decode(frames(rows, step_s=0.1), DecoderSettings(decoder="hysteresis", threshold=0.4, edge_level=0.4))
    assert (found.class_index.tolist(), spans(found)) == ([1], [(0.0, pytest.approx(10.0))])


def test_a_selection_without_a_row_has_the_score_of_the_nearest():
    late = DecoderSettings(decoder="hysteresis", onset_shift_s=0.21, offset_shift_s=-0.05)
    found = decode(frames([0.0, 0.6, 0.01, 0.0], step_s=1.0), late)
    assert spans(found) == [(pytest.approx(1.543, abs=0.001), pytest.approx(1.619, abs=0.001))]
    assert found.score_max.tolist() == [0.6]


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
@given(tracks, st.floats(0, 1))
@settings(max_examples=60)
def test_selections_are_ordered_apart_and_inside_the_recording(decoder, windows, threshold):
    found = decode(windows, DecoderSettings(decoder=decoder, threshold=threshold, step_s=0.03, smoothing_s=0.02))
    assert np.all(np.round(found.start_s, 3) < np.round(found.end_s, 3))  # as they are reported
    assert np.all(found.start_s[1:] >= found.end_s[:-1])
    assert np.all((found.start_s >= 0) & (found.end_s <= windows.end_s[-1]))
    assert np.isfinite(found.logit_mean).all()
    assert np.all((found.confidence >= threshold - 1e-9) & (found.confidence <= 1))
    assert np.isfinite(found.score_max).all()


@pytest.mark.parametrize("decoder", CURVE_DECODERS)
@given(tracks, st.floats(0.5, 1), st.floats(0.5, 1))
@settings(max_examples=60)
def test_a_stricter_threshold_finds_a_part_of_what_a_laxer_one_finds(decoder, windows, one, other):
    lax, strict = sorted((one, other))
    common = {"decoder": decoder, "step_s": 0.03, "edge_level": 0.4, "onset_shift_s": -0.02, "min_gap_s": 0.02}
    more = spans(decode(windows, DecoderSettings(threshold=lax, **common)))
    assert set(spans(decode(windows, DecoderSettings(threshold=strict, **common)))) <= set(more)


def test_a_temperature_takes_certainty_away_and_leaves_the_middle():
    windows = frames(call(300, 100, 150))
    plain = decode(windows, DecoderSettings(decoder="hysteresis"))
    mild = decode(windows, DecoderSettings(decoder="hysteresis", temperature=2.0))
    assert mild.confidence[0] == pytest.approx(1 / (1 + (0.02 / 0.98) ** 0.5))
    assert spans(mild) == [pytest.approx(one, abs=0.002) for one in spans(plain)]
    assert mild.score_max.tolist() == plain.score_max.tolist() == [0.98]  # as the network gave it


def test_the_confidence_that_means_one_half_can_be_set():
    settings_ = DecoderSettings(decoder="hysteresis", confidence_shift=3.0, confidence_scale=2.0)
    windows = frames(call(300, 100, 150, high=0.9) + call(300, 200, 250, high=0.99))
    found = decode(windows, settings_)
    assert len(found) == 1  # log-odds of 0.9 are 2.2, of 0.99 4.6
    assert accepting_level(settings_) == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert found.confidence[0] == pytest.approx(1 / (1 + np.exp(-2 * (np.log(1 / 0.99 * 1 / 0.01 - 1) - 3))), abs=0.1)


# --- the curve -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 3, 4, 9])
def test_smoothing_is_a_centred_triangle_and_moves_no_leap(width):
    values = np.zeros(60)
    values[30] = 1.0
    kernel = triangular(values, width)
    assert kernel.sum() == pytest.approx(1)
    assert np.argmax(kernel) == 30
    np.testing.assert_allclose(kernel[30 - width : 30], kernel[30 + width : 30 : -1], atol=1e-12)
    windows = frames(call(300, 100, 200, high=1.0, low=0.0))
    smoothed = DecoderSettings(decoder="hysteresis", smoothing_s=width * 0.01)
    assert spans(decode(windows, smoothed)) == [(pytest.approx(1.0, abs=1e-6), pytest.approx(2.0, abs=1e-6))]


def test_a_faint_bump_far_behind_does_not_lengthen_a_faint_peak():
    p = np.full(300, 0.001)
    p[100:110], p[250:260] = 0.08, 0.045  # the second is no candidate, but higher than half of the first
    found = peaks(score_curve(frames(p), 1), 0.5)
    assert found.start_s.tolist() == [pytest.approx(1.0, abs=0.01)]
    assert found.end_s.tolist() == [pytest.approx(1.1, abs=0.01)]


@given(tracks, tracks, st.floats(0.05, 0.9))
@settings(max_examples=60)
def test_recordings_decode_together_as_they_do_alone(one, other, level):
    curves = [score_curve(part, 1) for part in (one, other)]
    together = joined([above(curve, level * 0.05) for curve in curves], [0.0, 1000.0])
    for find in (lambda curve: stretches(curve, level), lambda curve: peaks(curve, level)):
        alone = [find(curve) for curve in curves]
        found = find(together)
        np.testing.assert_allclose(found.start_s, [*alone[0].start_s, *(alone[1].start_s + 1000)], atol=1e-9)
        np.testing.assert_allclose(found.end_s, [*alone[0].end_s, *(alone[1].end_s + 1000)], atol=1e-9)
        np.testing.assert_allclose(found.peak, [*alone[0].peak, *alone[1].peak])
        np.testing.assert_allclose(found.mean, [*alone[0].mean, *alone[1].mean])


@given(tracks, tracks, st.floats(0, 1))
@settings(max_examples=60)
def test_boxes_of_recordings_join_as_they_do_alone(one, other, drop):
    parts = [boxes(score_curve(part, 1), 0.03) for part in (one, other)]
    alone = [joined_boxes(part, drop) for part in parts]
    found = joined_boxes(boxes_of_all(parts, [0.0, 1000.0]), drop)
    np.testing.assert_allclose(found.start_s, [*alone[0].start_s, *(alone[1].start_s + 1000)], atol=1e-9)
    np.testing.assert_allclose(found.mean, [*alone[0].mean, *alone[1].mean], atol=1e-9)


# --- hysteresis ------------------------------------------------------------------------------------------


def plain_stretches(windows, level):
    """Walk over the piecewise linear curve, one knot after the other."""
    p = windows.probs[:, 1].tolist()
    times = [windows.start_s[0], *windows.instant_s.tolist(), windows.end_s[-1]]
    scores = [p[0], *p, p[-1]]
    found, start = [], times[0] if scores[0] >= level else None
    for t0, t1, s0, s1 in zip(times, times[1:], scores, scores[1:], strict=False):
        if s0 < level <= s1:
            start = t0 + (level - s0) / (s1 - s0) * (t1 - t0)
        if s1 < level <= s0:
            found.append((start, t0 + (s0 - level) / (s0 - s1) * (t1 - t0)))
            start = None
    return found if start is None else [*found, (start, times[-1])]


@given(tracks, st.sampled_from([0.3, 0.5, 0.7]))
def test_stretches_equal_the_plain_walk(windows, level):
    expected = plain_stretches(windows, level)
    found = stretches(score_curve(windows, 1), level)
    np.testing.assert_allclose(found.start_s, [start for start, _ in expected], atol=1e-9)
    np.testing.assert_allclose(found.end_s, [end for _, end in expected], atol=1e-9)


def test_edges_lie_between_two_frames_where_the_score_crosses_the_level():
    found = decode(frames([0.0, 0.0, 0.2, 1.0, 1.0, 0.4, 0.0]), DecoderSettings(decoder="hysteresis"))
    assert spans(found) == [(pytest.approx(0.025 + 0.01 * 0.3 / 0.8), pytest.approx(0.045 + 0.01 * 0.5 / 0.6))]


def test_edges_do_not_depend_on_the_threshold():
    ramp = np.concatenate((np.zeros(50), np.linspace(0, 1, 20), np.ones(30), np.linspace(1, 0, 20), np.zeros(50)))
    found = {
        spans(decode(frames(ramp), DecoderSettings(decoder="hysteresis", threshold=t)))[0] for t in (0.3, 0.5, 0.7)
    }
    assert len(found) == 1


def test_a_lax_threshold_adds_stretches_that_never_reach_the_edge_level():
    p = call(300, 50, 100) + call(300, 200, 240, high=0.35)
    assert len(decode(frames(p), DecoderSettings(decoder="hysteresis", threshold=0.5))) == 1
    found = decode(frames(p), DecoderSettings(decoder="hysteresis", threshold=0.3))
    assert spans(found)[1] == (pytest.approx(2.0, abs=0.005), pytest.approx(2.4, abs=0.005))


# --- peak ------------------------------------------------------------------------------------------------


def test_a_weak_stretch_that_just_reaches_the_threshold_is_added():
    curve = score_curve(frames(call(200, 50, 80, 0.25)), 1)
    weak = stretches(curve, 0.1)
    strong = stretches(curve, 0.5)
    assert weak.peak.tolist() == [0.25]
    assert len(with_weak(strong, weak, 0.25)) == 1
    assert len(with_weak(strong, weak, 0.2501)) == 0


def test_a_weak_call_keeps_its_length():
    ramp = np.concatenate((np.zeros(50), np.linspace(0, 1, 21), np.linspace(1, 0, 21)[1:], np.zeros(50)))
    settings_ = DecoderSettings(decoder="peak", threshold=0.2, edge_level=0.5)
    strong, weak = (decode(frames(ramp * height), settings_) for height in (0.9, 0.3))
    assert spans(strong) == [pytest.approx(one) for one in spans(weak)]


def test_peaks_are_apart_where_the_score_falls_below_a_share_of_the_lower_one():
    def two(valley):
        return np.concatenate((np.zeros(9), [0.5, 0.9, 0.9, valley, 0.6, 0.3], np.zeros(9)))

    settings_ = DecoderSettings(decoder="peak", threshold=0.4, edge_level=0.5)
    assert len(decode(frames(two(0.29)), settings_)) == 2
    assert len(decode(frames(two(0.31)), settings_)) == 1


def prominent_groups(valley, height, share):
    """Join one gap after the other, the highest first."""
    groups = [[number] for number in range(len(height))]
    decided = set()
    while True:
        gaps = [(valley[group[-1]], -number) for number, group in enumerate(groups[:-1]) if group[-1] not in decided]
        if not gaps:
            return [group[0] for group in groups]
        gap, number = max(gaps)
        number = -number
        decided.add(groups[number][-1])
        lower = min(max(height[k] for k in groups[number]), max(height[k] for k in groups[number + 1]))
        if gap >= share * lower:
            groups[number : number + 2] = [groups[number] + groups[number + 1]]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data(), st.sampled_from([0.3, 0.5, 0.8]))
def test_gaps_decided_together_join_as_one_after_the_other(heights, data, share):
    height = np.array(heights, dtype=np.float64)
    valley = np.array([data.draw(st.integers(0, min(a, b))) for a, b in itertools.pairwise(heights)], dtype=np.float64)
    found = groups_across_shallow_gaps(
        valley,
        lambda first: np.maximum.reduceat(height, first),
        lambda one, other, gap: gap >= share * np.minimum(one, other),
    )
    assert found.tolist() == prominent_groups(valley.tolist(), height.tolist(), share)


# --- change ----------------------------------------------------------------------------------------------


def test_boxes_begin_where_the_score_rises_most():
    ramp = np.concatenate((np.full(60, 0.05), np.linspace(0.05, 0.95, 11), np.full(50, 0.95), np.full(60, 0.05)))
    found = decode(frames(ramp), DecoderSettings(decoder="change", step_s=0.1))
    assert spans(found) == [(pytest.approx(0.655, abs=0.003), pytest.approx(1.21, abs=0.003))]


@pytest.mark.parametrize("floor", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("rows", [3, 5, 8, 10, 40])
def test_calls_shorter_than_the_step_filter_begin_and_end_where_they_do(floor, rows):
    p = np.full(900, floor)
    for start in (200, 400, 600):
        p[start : start + rows] = 0.95
    found = spans(decode(frames(p), DecoderSettings(decoder="change", step_s=0.1)))
    wanted = [(start * 0.01, (start + rows) * 0.01) for start in (200, 400, 600)]
    assert np.ravel(found) == pytest.approx(np.ravel(wanted), abs=0.006)


def test_boxes_join_where_the_score_hardly_drops():
    p = call(300, 100, 150) + call(300, 160, 200)
    p[150:160] = 0.7
    settings_ = DecoderSettings(decoder="change", step_s=0.05, merge_drop=0.4)
    assert len(decode(frames(p), settings_)) == 1
    assert len(decode(frames(p), settings_.with_values(merge_drop=0.1))) == 2


def test_a_clear_box_does_not_join_a_faint_one():
    """Its mean score would not be that of a call any more."""
    p = np.full(400, 0.02)
    p[50:75], p[90:110] = 0.95, 0.12
    for scores in (p, p[::-1].copy()):
        found = decode(frames(scores), DecoderSettings(decoder="change"))
        assert found.confidence.tolist() == [pytest.approx(0.95, abs=0.01)]


def test_boxes_of_a_mean_score_below_a_twentieth_are_none():
    p = np.zeros(600)
    p[100:150], p[300:350] = 0.045, 0.055
    found = decode(frames(p), DecoderSettings(decoder="change", threshold=0.01, step_s=0.05))
    assert spans(found) == [(pytest.approx(3.0, abs=0.006), pytest.approx(3.5, abs=0.006))]


def test_calls_stand_apart_over_a_wavering_background():
    rng = np.random.default_rng(0)
    for level in (0.02, 0.05, 0.08):
        p = rng.normal(level, 0.02, 6000).clip(0.001, 1)
        for start in range(100, 5900, 225):
            p[start : start + 60] = 0.95
        assert len(decode(frames(p), DecoderSettings(decoder="change"))) == 26
