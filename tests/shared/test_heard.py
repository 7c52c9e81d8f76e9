"""What was scored of tapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.heard import by_tape, shared_s, stretches
from hum_shared.index import RecordingInfo
from hum_shared.intervals import duration
from hum_shared.status.runs import hours_of

PARTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda part: tuple(sorted(part))), max_size=4)
RECORDINGS = st.lists(
    st.builds(
        RecordingInfo,
        name=st.just("a.wav"),
        tape=st.sampled_from("ab"),
        offset_s=st.integers(-5, 40),
        dur_s=st.integers(0, 30),
        scored_s=st.none() | PARTS,
    ),
    max_size=6,
)


@given(RECORDINGS)
def test_each_second_of_a_tape_counts_once(recordings: list[RecordingInfo]) -> None:
    heard = {"a": set(), "b": set()}
    for one in recordings:
        for start, end in [(0, one.dur_s)] if one.scored_s is None else one.scored_s:
            heard[one.tape].update(range(int(start + one.offset_s), int(end + one.offset_s)))
    found = by_tape(recordings)
    assert list(found) == sorted({one.tape for one in recordings})
    for tape, parts in found.items():
        assert {second for start, end in parts.tolist() for second in range(int(start), int(end))} == heard[tape]
        assert duration(parts) == len(heard[tape])
    assert hours_of(recordings) == pytest.approx(sum(map(len, heard.values())) / 3600)


@pytest.mark.parametrize(
    ("offsets_s", "shared"),
    [((0, 59.92, 119.84), {}), ((0, 59), {"a": pytest.approx(1)}), ((0, 59.85), {"a": pytest.approx(0.15)})],
)
def test_what_recordings_share_is_known_but_not_the_padding_of_neighbours(
    offsets_s: tuple[float, ...], shared: dict[str, float]
) -> None:
    found = [RecordingInfo(name=f"{offset_s}.wav", tape="a", offset_s=offset_s, dur_s=60) for offset_s in offsets_s]
    elsewhere = RecordingInfo(name="b.wav", tape="b", offset_s=0, dur_s=60)
    assert shared_s([*found, elsewhere]) == shared


def test_nothing_heard() -> None:
    nothing = RecordingInfo(name="a.wav", tape="a", offset_s=3, dur_s=60, scored_s=[])
    assert stretches(nothing).shape == by_tape([nothing])["a"].shape == (0, 2)
    assert by_tape([]) == {}
    assert hours_of([nothing]) == hours_of([]) == 0
