"""retry-failed with stand-ins for Slurm's programs; on a real Slurm: tests/hpc."""

from __future__ import annotations

from pathlib import Path

import pytest

from hum_shared.errors import InputError, MachineError
from hum_slurm.context import open_context
from hum_slurm.factories.training import plan_training
from support.slurm_place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_rows_that_ended_2_wait_until_something_they_read_changes(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "100_0")
    place.end("train", 1, 2, "100_1", outputs=False)
    with pytest.raises(InputError, match="nothing they read has changed since: v2_b"):
        place.retry("train")
    (place.root / "data/train/dataset_b/new.wav").touch()
    place.retry("train")
    assert place.calls()[-1][:2] == ["--parsable", "--array=1%10"]


def test_memory_doubles_after_running_out_of_it_and_time_likewise_up_to_the_partitions(place: Place) -> None:
    place.submit("train")
    place.queue("100|0|100_0|OUT_OF_MEMORY|10:00|3G|None", "100|1|100_1|TIMEOUT|20:00|2G|TimeLimit")
    place.retry("train")
    first, second = place.calls()[-2:]
    assert first[1:3] == ["--array=0%10", "--mem=6144M"]
    assert second[1:3] == ["--array=1%10", "--time=30"]


def test_a_row_that_cannot_get_more_does_not_hold_up_the_others(place: Place) -> None:
    place.submit("train")
    place.queue("100|0|100_0|OUT_OF_MEMORY|10:00|3G|None", "100|1|100_1|NODE_FAIL|20:00|2G|None")
    (place.slurm / "refuse-test").write_text("--mem=6144M")
    expected = r"would refuse v1_a with --array=0%10 --mem=6144M: .*invalid partition\. Name .*: hum-slurm training$"
    with pytest.raises(MachineError, match=expected):
        place.retry("train")
    assert [call[1] for call in place.calls()[1:]] == ["--array=1%10"]


def test_there_is_nothing_to_retry_when_all_is_done_or_queued(place: Place) -> None:
    place.submit("train")
    place.end("train", 0, 0, "100_0")
    place.queue("100|1|100_1|PENDING|20:00|2G|Priority")
    place.retry("train")
    assert place.said == ["v2_b: waiting as 100_1, left alone", "nothing to do: every other task of train is complete"]


def test_a_partial_row_is_done_until_its_recordings_change(place: Place) -> None:
    plan_training(open_context(place.root)).write()
    place.submit("predict", chain=False)
    place.end("predict", 0, 3, "100_0")
    place.end("predict", 1, 0, "101_0")
    assert place.states("predict") == ["partial", "done"]
    place.retry("predict")
    assert place.said[-1].startswith("nothing to do")
    (place.root / "data/bench/labelled_recordings/mended.wav").touch()
    place.retry("predict")
    assert len(place.calls()) == 3
