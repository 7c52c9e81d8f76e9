import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.intervals import as_intervals, overlapping_pairs
from hum_trainer.noise import NoiseRequest, mine, place, wanted_per_hum, widened

hums = st.lists(st.tuples(st.integers(0, 9000), st.integers(20, 900)), max_size=8).map(
    lambda found: as_intervals([(start / 1000, (start + dur) / 1000) for start, dur in found])
)


def rng(seed=0):
    return np.random.default_rng(seed)


def requests(hums, copies=2, raw=(0.0, 30.0)):
    return [NoiseRequest(i, "t", round(e - s, 6), (0.0, 10.0), raw) for i, (s, e) in enumerate(hums)] * copies


@given(hums=hums, margin_ms=st.integers(0, 300), seed=st.integers(0, 99))
def test_noise_keeps_away_from_hums_and_never_overlaps_noise(hums, margin_ms, seed):
    margin_s = margin_ms / 1000
    places, skipped = mine(requests(hums), {"t": hums}, margin_s, rng(seed))
    noise = as_intervals([(found.start_s, found.end_s) for found in places])
    assert len(places) + skipped == 2 * len(hums)
    assert len(overlapping_pairs(noise, widened(hums, margin_s - 1e-6))[0]) == 0
    assert len(overlapping_pairs(noise, noise)[0]) == len(noise)


@given(hums=hums, seed=st.integers(0, 99))
def test_noise_lies_within_its_recording_and_is_as_long_as_its_hum(hums, seed):
    places, _ = mine(requests(hums), {"t": hums}, 0.1, rng(seed))
    for found in places:
        start_s, end_s = hums[found.hum]
        assert found.end_s - found.start_s == pytest.approx(end_s - start_s, abs=2e-6)
        assert found.start_s >= 0
        assert found.end_s <= (10 if found.source == "clip" else 30)
        assert found.start_s * 1000 == pytest.approx(round(found.start_s * 1000))


def test_the_raw_recording_is_used_only_when_the_clip_is_full():
    full = as_intervals([(0, 5), (5.05, 10)])
    places, skipped = mine([NoiseRequest(0, "t", 4.0, (0.0, 10.0), (0.0, 30.0))], {"t": full}, 0.1, rng())
    assert [found.source for found in places] == ["raw"]
    assert places[0].start_s >= 10.1
    assert skipped == 0


def test_without_room_or_raw_recording_a_request_is_skipped():
    full = as_intervals([(0, 10)])
    assert mine([NoiseRequest(0, "t", 4.0, (0.0, 10.0), None)], {"t": full}, 0.1, rng()) == ([], 1)


@pytest.mark.parametrize(("room_s", "earliest_s"), [(3.3, 2.0), (2.5, 1.0)])
def test_noise_clips_keep_the_margin_between_them_while_that_leaves_room(room_s, earliest_s):
    wishes = [NoiseRequest(0, "t", 1.0, (0.0, end_s), None) for end_s in (1.0, room_s)]
    for seed in range(20):
        (first, second), skipped = mine(wishes, {}, 1.0, rng(seed))
        assert (first.start_s, skipped) == (0, 0)
        assert second.start_s >= earliest_s


@pytest.mark.parametrize(("clip", "earliest_s"), [((2.1, 3.3), 2.2), ((2.152, 3.152), 2.152)])
def test_the_margin_is_also_kept_to_noise_next_to_the_clip_while_that_leaves_room(clip, earliest_s):
    wishes = [NoiseRequest(0, "t", 1.0, (0.0, 1.0), (0.0, 2.1)), NoiseRequest(0, "t", 1.0, clip, None)]
    for seed in range(20):
        (first, second), skipped = mine(wishes, {"t": as_intervals([(0, 1)])}, 0.1, rng(seed))
        assert (first.end_s, first.source, skipped) == (2.1, "raw", 0)
        assert second.start_s >= earliest_s


def test_every_hum_gets_one_before_any_gets_two():
    wishes = [NoiseRequest(hum, "t", 1.0, (0.0, 2.999), None) for hum in (0, 0, 1, 1)]
    for seed in range(20):
        places, _ = mine(wishes, {}, 0.0, rng(seed))
        assert len({found.hum for found in places}) == len(places)


def test_all_starts_that_fit_are_taken_sooner_or_later():
    free = as_intervals([(0.0, 0.102), (1.0, 1.05), (2.0, 2.1)])
    generator = rng()
    assert {place(free, 0.1, generator) for _ in range(200)} == {0.0, 0.001, 0.002, 2.0}


@pytest.mark.parametrize(("start_s", "dur_s", "end_s"), [(0.1 + 0.2, 0.5, 0.8), (0.3, 0.4, 0.7)])
def test_a_start_that_just_fits_is_not_lost_to_the_rounding_of_sums(start_s, dur_s, end_s):
    assert place(as_intervals([(start_s, end_s)]), dur_s, rng()) == 0.3


def test_nothing_fits_into_nothing():
    assert place(as_intervals([]), 0.1, rng()) is None


@given(noise_per_hum=st.floats(0, 5), n=st.integers(0, 50))
def test_each_hum_wants_the_whole_number_or_one_more(noise_per_hum, n):
    wanted = wanted_per_hum(noise_per_hum, n, rng())
    assert len(wanted) == n
    assert set(wanted) <= {int(noise_per_hum), int(noise_per_hum) + 1}


def test_the_fraction_is_a_probability():
    assert sum(wanted_per_hum(1.25, 4000, rng())) == pytest.approx(5000, rel=0.03)
