"""Cutting shards."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_predictor.shards import parse_shard, shard_of
from hum_shared.errors import InputError


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_impossible_shards_are_refused(text):
    with pytest.raises(InputError, match="K/N"):
        parse_shard(text)


@given(st.lists(st.floats(0, 1e5), max_size=40), st.integers(1, 6))
def test_shards_hold_every_recording_once(durations, n_shards):
    dur_s = {Path(f"{i}.wav"): d for i, d in enumerate(durations)}
    shards = [shard_of(list(dur_s), dur_s, k, n_shards) for k in range(1, n_shards + 1)]
    assert sorted(path for shard in shards for path in shard) == sorted(dur_s)


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=40), st.integers(1, 6))
def test_shards_differ_by_at_most_the_longest_recording(durations, n_shards):
    dur_s = {Path(f"{i}.wav"): d for i, d in enumerate(durations)}
    loads = [sum(dur_s[p] for p in shard_of(list(dur_s), dur_s, k, n_shards)) for k in range(1, n_shards + 1)]
    assert max(loads) - min(loads) <= max(durations) + 1e-6
