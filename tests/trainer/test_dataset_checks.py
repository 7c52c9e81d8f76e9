from hum_shared.index import CorpusEntry
from hum_shared.intervals import as_intervals
from hum_trainer.dataset_checks import OverlapCheck, check_overlaps, part_counts, shared_tapes, tape_counts
from hum_trainer.planning import PlannedClip


def clip(number, class_name, start_s, end_s, part="train", tape="a.wav"):
    hum = CorpusEntry(
        uid=number, clip_path=tape, dur_s=1, clip_start_s=0, clip_end_s=1, raw_start_s=0, raw_end_s=1, quality=1
    )
    return PlannedClip(number, class_name, "x", hum, "clip", start_s, end_s, part)


def test_overlaps_duplicates_and_touched_hums_are_counted():
    clips = [
        clip(1, "target", 0, 1),
        clip(2, "noise", 0.9, 2),
        clip(3, "noise", 1.5, 2.5),
        clip(4, "noise", 1.5, 2.5),
        clip(5, "noise", 1.5, 2.5, tape="b.wav"),
    ]
    assert check_overlaps(clips, {"a.wav": as_intervals([(0, 1)])}) == OverlapCheck(3, 1, 1)


def test_clips_that_only_meet_do_not_overlap():
    clips = [clip(1, "noise", 1, 2), clip(2, "noise", 2, 3)]
    assert check_overlaps(clips, {"a.wav": as_intervals([(0, 1), (3, 4)])}) == OverlapCheck(0, 0, 0)


def test_tapes_in_several_parts_are_named_with_those():
    clips = [clip(1, "target", 0, 1, "test"), clip(2, "target", 0, 1, "train"), clip(3, "noise", 0, 1, "val", "b.wav")]
    assert shared_tapes(clips) == {"a.wav": ["train", "test"]}
    assert tape_counts(clips) == {"train": {"a.wav": 1}, "val": {"b.wav": 1}, "test": {"a.wav": 1}}


def test_counts_name_every_part_and_class():
    clips = [clip(1, "target", 0, 1), clip(2, "noise", 0, 1)]
    empty = {"target": 0, "noise": 0}
    assert part_counts(clips) == {"train": {"target": 1, "noise": 1}, "val": empty, "test": empty}
