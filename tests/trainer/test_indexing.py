import hashlib
import json
import unicodedata

import pytest
import soundfile

from hum_shared.errors import InputError
from hum_shared.index import CorpusIndex
from hum_shared.names import canonical_clip
from hum_trainer.index_lookup import busy_on_tapes, not_indexed
from hum_trainer.indexing import index_corpus
from hum_trainer.renaming import plan_renames, rename
from support.corpora import make_corpus


def hum_file(root, hum):
    return root / "segmented" / hum.file_name


def kinds(indexed):
    return [problem.kind for problem in indexed.problems]


def test_every_hum_is_an_entry_with_clip_and_tape_times(tmp_path):
    hums = make_corpus(tmp_path / "corpus v1")
    entries = index_corpus(tmp_path / "corpus v1").index.entries
    assert len(entries) == len(hums) == 24
    found = {entry.hum_path: entry for entry in entries}
    for hum in hums:
        entry = found[f"segmented/{hum.file_name}"]
        assert (entry.clip_start_s, entry.clip_end_s) == (hum.start_s, hum.end_s)
        assert entry.raw_start_s == pytest.approx(hum.offset_s + hum.start_s)
        assert entry.raw_end_s == pytest.approx(hum.offset_s + hum.end_s)
        assert entry.dur_s == pytest.approx(hum.end_s - hum.start_s)
        assert entry.quality == hum.quality
        assert entry.clip_path == f"labelled_recordings/{hum.clip}"
        assert entry.raw_path == f"raw_recordings/{hum.tape}"
        assert (entry.corpus_name, entry.clip_dur_s) == ("corpus v1", 10)


def test_the_head_counts_and_averages(tmp_path):
    hums = make_corpus(tmp_path / "c")
    index = index_corpus(tmp_path / "c").index
    meta = index.meta
    assert (meta.corpus_name, meta.n_raw_recordings, meta.n_labelled_clips, meta.n_hums) == ("c", 3, 6, 24)
    assert meta.avg_raw_duration_h == pytest.approx(30 / 3600, abs=1e-6)
    assert meta.avg_hum_duration_s == pytest.approx(sum(h.end_s - h.start_s for h in hums) / 24, abs=1e-5)
    assert (meta.clip_duration_s, meta.avg_clip_duration_s) == (10, 10)
    assert sorted(index.distribution.per_clip) == sorted(map(str, range(1, 7)))
    assert sum(counts.n_hums for counts in index.distribution.per_raw.values()) == 24
    assert all(sum(c.qualities.values()) == c.n_hums for c in index.distribution.per_clip.values())


def test_clips_of_different_lengths_have_no_common_one(tmp_path):
    make_corpus(tmp_path)
    soundfile.write(tmp_path / "labelled_recordings" / "387_20201207_cut.wav_20_25.wav", [0.0] * 40000, 8000)
    assert index_corpus(tmp_path).index.meta.clip_duration_s is None


def test_every_labelled_clip_is_listed_with_its_digest_also_one_without_hums(tmp_path):
    make_corpus(tmp_path)
    empty = tmp_path / "labelled_recordings" / "387_20201207_cut.wav_20_25.5.wav"
    soundfile.write(empty, [0.0] * 44000, 8000)
    recordings = {recording.name: recording for recording in index_corpus(tmp_path).index.meta.recordings}
    assert len(recordings) == 7
    found = recordings[empty.name]
    assert (found.tape, found.offset_s, found.dur_s) == ("387_20201207_cut.wav", 20, 5.5)
    assert found.sha256 == hashlib.sha256(empty.read_bytes()).hexdigest()


def test_without_raw_recordings_the_tape_still_comes_from_the_name(tmp_path):
    make_corpus(tmp_path, raw=False)
    index = index_corpus(tmp_path).index
    assert {entry.raw_path for entry in index.entries} == {None}
    assert {entry.tape for entry in index.entries} == {
        "387_20201207_cut.wav",
        "388_20210115_hof_cut.wav",
        "391_20210302_cut.wav",
    }
    assert index.meta.avg_raw_duration_h is None
    assert max(entry.raw_start_s for entry in index.entries) > 10


def test_the_same_corpus_gives_the_same_index_but_for_time_and_place(tmp_path):
    make_corpus(tmp_path)
    first, second = (index_corpus(tmp_path).index.model_dump(mode="json") for _ in range(2))
    for index in (first, second):
        del index["meta"]["generated_at"], index["meta"]["provenance"]
    assert json.dumps(first) == json.dumps(second)


def test_the_index_is_read_back_as_it_was(tmp_path):
    make_corpus(tmp_path)
    index = index_corpus(tmp_path).index
    assert CorpusIndex.model_validate(json.loads(index.model_dump_json())) == index


def test_a_corpus_without_hums_is_an_error(tmp_path):
    make_corpus(tmp_path, hums_per_clip=1)
    for path in (tmp_path / "segmented").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="without hums"):
        index_corpus(tmp_path)


def test_a_hum_whose_clip_is_missing_is_named_left_out_and_kept_free_of_noise(tmp_path):
    hums = make_corpus(tmp_path)
    (tmp_path / "labelled_recordings" / hums[0].clip).unlink()
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == ["clip missing"] * 4
    assert hums[0].file_name in indexed.problems[0].message
    assert len(indexed.index.entries) == 20
    assert [hums[0].start_s, hums[0].end_s] in busy_on_tapes(indexed.index)[hums[0].tape].tolist()


def test_a_clip_that_was_converted_after_its_hums_were_cut_is_named(tmp_path):
    (hum,) = make_corpus(tmp_path, tapes=["x.wav"], clips_per_tape=1, hums_per_clip=1)
    clip = tmp_path / "labelled_recordings" / hum.clip
    clip.rename(clip.with_suffix(".WAV"))
    with pytest.raises(InputError, match=f"there is {clip.with_suffix('.WAV').name}"):
        index_corpus(tmp_path)


def test_a_hum_that_reaches_beyond_its_clip_is_named_and_kept(tmp_path):
    hums = make_corpus(tmp_path)
    hum_file(tmp_path, hums[0]).rename(tmp_path / "segmented" / f"{hums[0].clip}_9.8_10.2Q1.wav")
    indexed = index_corpus(tmp_path)
    assert "outside clip" in kinds(indexed)
    assert len(indexed.index.entries) == 24


def test_a_hum_behind_the_end_of_its_clip_is_named_and_left_out(tmp_path):
    hums = make_corpus(tmp_path)
    dur_s = hums[0].end_s - hums[0].start_s
    hum_file(tmp_path, hums[0]).rename(tmp_path / "segmented" / f"{hums[0].clip}_50_{50 + dur_s:.3f}Q1.wav")
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == ["outside clip"]
    assert len(indexed.index.entries) == 23


@pytest.mark.parametrize(("off_ms", "expected"), [(50, []), (-50, []), (51, ["length"]), (-51, ["length"])])
def test_a_hum_whose_file_is_off_by_more_than_50_ms_is_named_and_kept(tmp_path, off_ms, expected):
    hums = make_corpus(tmp_path)
    samples = round((hums[0].end_s - hums[0].start_s + off_ms / 1000) * 8000)
    soundfile.write(hum_file(tmp_path, hums[0]), [0.1] * samples, 8000)
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == expected
    assert len(indexed.index.entries) == 24


def test_a_second_file_of_the_same_hum_is_named_and_counted_once(tmp_path):
    hums = make_corpus(tmp_path)
    copy = tmp_path / "segmented" / hums[0].file_name.replace("Q1.wav", "Q1 (1).wav")
    copy.write_bytes(hum_file(tmp_path, hums[0]).read_bytes())
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == ["duplicate"]
    assert len(indexed.index.entries) == 24


def test_a_cut_out_hum_that_cannot_be_read_is_named_and_taken_from_its_clip(tmp_path):
    hums = make_corpus(tmp_path)
    hum_file(tmp_path, hums[0]).write_bytes(b"")
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == ["unreadable"]
    assert "empty file (0 bytes); it is taken from its clip" in indexed.problems[0].message
    (entry,) = [entry for entry in indexed.index.entries if entry.hum_path is None]
    assert (entry.recording, entry.clip_start_s, entry.clip_end_s) == (hums[0].clip, hums[0].start_s, hums[0].end_s)
    assert len(indexed.index.entries) == 24


def test_hums_in_linked_folders_count_and_hidden_ones_do_not(tmp_path):
    hums = make_corpus(tmp_path / "corpus")
    segmented, elsewhere = tmp_path / "corpus/segmented", tmp_path / "elsewhere"
    elsewhere.mkdir()
    hum_file(tmp_path / "corpus", hums[0]).rename(elsewhere / hums[0].file_name)
    (segmented / "second listener").symlink_to(elsewhere)
    (segmented / ".trash").mkdir()
    hum_file(tmp_path / "corpus", hums[1]).rename(segmented / ".trash" / hums[1].file_name)
    indexed = index_corpus(tmp_path / "corpus")
    assert kinds(indexed) == []
    assert len(indexed.index.entries) == 23
    assert f"segmented/second listener/{hums[0].file_name}" in {entry.hum_path for entry in indexed.index.entries}


def test_names_of_two_unicode_forms_are_one_name(tmp_path):
    tape = unicodedata.normalize("NFC", "Bär_20201207_cut.wav")
    make_corpus(tmp_path, tapes=[tape])
    for path in sorted((tmp_path / "segmented").iterdir()):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == []
    assert {entry.tape for entry in indexed.index.entries} == {tape}


def test_audio_that_is_no_hum_is_named(tmp_path):
    hums = make_corpus(tmp_path)
    (tmp_path / "segmented" / "Probe.wav").write_bytes(hum_file(tmp_path, hums[0]).read_bytes())
    assert kinds(index_corpus(tmp_path)) == ["name"]


@pytest.mark.parametrize("ending", ["_hQ2", "_hwQ2", "_q2", "_hw_q2", "Q2_gut", "Q2 (3)"])
def test_known_variants_of_hum_names_are_read_reported_and_left_alone(tmp_path, ending):
    hums = make_corpus(tmp_path)
    hum = hums[1]
    variant = f"{hum.clip}_{hum.start_s}_{hum.end_s}{ending}.wav"
    hum_file(tmp_path, hum).rename(tmp_path / "segmented" / variant)
    indexed = index_corpus(tmp_path)
    assert indexed.variants == [(f"segmented/{variant}", hum.file_name)]
    assert not indexed.problems
    assert any(entry.hum_path == f"segmented/{variant}" and entry.quality == 2 for entry in indexed.index.entries)
    assert (tmp_path / "segmented" / variant).exists()


@pytest.mark.parametrize(("on_clip", "on_hum"), [(" (1)", ""), ("_checked", ""), ("", "_checked"), ("_a", "_b (2)")])
def test_a_hum_finds_the_clip_whose_name_is_read_as_the_same(tmp_path, on_clip, on_hum):
    (hum, *_), labelled = make_corpus(tmp_path), tmp_path / "labelled_recordings"
    stem = hum.clip.removesuffix(".wav")
    clip, variant = f"{stem}{on_clip}.wav", hum.file_name.replace(hum.clip, f"{stem}{on_hum}.wav")
    (labelled / hum.clip).rename(labelled / clip)
    hum_file(tmp_path, hum).rename(tmp_path / "segmented" / variant)
    indexed = index_corpus(tmp_path)
    assert kinds(indexed) == []
    assert len(indexed.index.entries) == 24
    (entry,) = [one for one in indexed.index.entries if one.hum_path == f"segmented/{variant}"]
    assert entry.clip_path == f"labelled_recordings/{clip}"
    rename(plan_renames(tmp_path))
    assert plan_renames(tmp_path) == []
    assert kinds(index_corpus(tmp_path)) == []
    assert len(index_corpus(tmp_path).index.entries) == 24


def test_a_hum_without_its_clip_does_not_choose_between_two_variants(tmp_path):
    (hum, *_), labelled = make_corpus(tmp_path), tmp_path / "labelled_recordings"
    stem, content = hum.clip.removesuffix(".wav"), (labelled / hum.clip).read_bytes()
    (labelled / hum.clip).unlink()
    for ending in ("_a", "_b"):
        (labelled / f"{stem}{ending}.wav").write_bytes(content)
    assert set(kinds(index_corpus(tmp_path))) == {"clip missing"}


def test_a_dated_clip_is_a_tape_of_its_own_that_starts_at_0(tmp_path):
    (old,) = make_corpus(tmp_path, tapes=["x.wav"], clips_per_tape=1, hums_per_clip=1, raw=False)
    dated = "387_20201207_101530 viel Wind.wav"
    (tmp_path / "labelled_recordings" / old.clip).rename(tmp_path / "labelled_recordings" / dated)
    hum_file(tmp_path, old).rename(tmp_path / "segmented" / old.file_name.replace(old.clip, dated))
    indexed = index_corpus(tmp_path)
    (entry,) = indexed.index.entries
    assert (entry.tape, entry.raw_start_s, entry.raw_path) == (dated, old.start_s, None)
    canonical = "387_20201207_101530 viel Wind_cut.wav_0_10.wav"
    assert indexed.variants == [(f"labelled_recordings/{dated}", canonical)]
    assert indexed.other_tapes == []


def test_a_dated_clip_without_animal_is_named_unknown_and_others_are_left_alone():
    assert canonical_clip("20201207_101530.wav", 12.5) == "UNKN_20201207_101530_cut.wav_0_12.5.wav"
    assert canonical_clip("387_20201207_101530_cut.wav", 12.5) == "387_20201207_101530_cut.wav"
    assert canonical_clip("387_20201207_cut.wav_0_9.wav", 9) == "387_20201207_cut.wav_0_9.wav"
    for name in ("387_20201207_101530 x.wav", "20201207_101530.wav"):
        canonical = canonical_clip(name, 9)
        assert canonical_clip(canonical, 9) == canonical


def test_tapes_with_other_names_are_listed_once(tmp_path):
    make_corpus(tmp_path, tapes=["Stall 3 „Süd“.v2.wav", "387_20201207_cut.wav"])
    assert index_corpus(tmp_path).other_tapes == ["Stall 3 „Süd“.v2.wav"]


def test_hums_that_came_after_the_index_are_found(tmp_path):
    hums = make_corpus(tmp_path)
    index = index_corpus(tmp_path).index
    assert not_indexed(tmp_path, index) == []
    new = f"segmented/{hums[0].clip}_9.9_9.95Q1.wav"
    (tmp_path / new).write_bytes(hum_file(tmp_path, hums[0]).read_bytes())
    assert not_indexed(tmp_path, index) == [new]


def test_raw_recordings_are_found_in_either_unicode_form(tmp_path):
    tape = "Grün_20201207_cut.wav"
    make_corpus(tmp_path, tapes=[tape], clips_per_tape=1)
    raw = tmp_path / "raw_recordings" / tape
    raw.rename(raw.with_name(unicodedata.normalize("NFD", tape)))
    index = index_corpus(tmp_path).index
    assert {entry.raw_path for entry in index.entries} == {f"raw_recordings/{unicodedata.normalize('NFD', tape)}"}
    assert [counts.n_hums for counts in index.distribution.per_raw.values()] == [len(index.entries)]
