import unicodedata

import pytest

from hum_shared.errors import InputError
from hum_shared.selections import Selection, write_selections
from hum_trainer.indexing import index_corpus
from hum_trainer.renaming import plan_renames, rename
from support.corpora import make_corpus


def test_clips_hums_and_raw_recordings_get_the_names_of_the_grammar(tmp_path):
    (hum,) = make_corpus(tmp_path, tapes=["x.wav"], clips_per_tape=1, hums_per_clip=1)
    dated = "387_20201207_101530 $Wind.wav"
    (tmp_path / "labelled_recordings" / hum.clip).rename(tmp_path / "labelled_recordings" / dated)
    (tmp_path / "raw_recordings" / "x.wav").rename(tmp_path / "raw_recordings" / dated)
    name = f"{dated}_{hum.start_s}_{hum.end_s}_hw_q1.wav"
    (tmp_path / "segmented" / hum.file_name).rename(tmp_path / "segmented" / name)
    before = index_corpus(tmp_path).index.entries[0]
    write_selections(tmp_path / "tables" / f"{dated.removesuffix('.wav')}.Table.1.selections.txt", [Selection(1, 2)])

    rename(plan_renames(tmp_path))

    indexed = index_corpus(tmp_path)
    (after,) = indexed.index.entries
    tape = "387_20201207_101530 $Wind_cut.wav"
    assert after.hum_path == f"segmented/{tape}_0_10.wav_{hum.start_s:g}_{hum.end_s:g}Q1.wav"
    assert after.raw_path == f"raw_recordings/{tape}"
    assert (after.raw_start_s, after.quality) == (before.raw_start_s, before.quality)
    assert not indexed.variants
    assert not indexed.problems
    assert [path.name for path in (tmp_path / "tables").iterdir()] == [f"{tape}_0_10.Table.1.selections.txt"]
    assert len(index_corpus(tmp_path, from_selections=True).index.entries) == 1
    assert plan_renames(tmp_path) == []


def test_two_files_for_one_name_are_both_named_and_nothing_is_renamed(tmp_path):
    hums = make_corpus(tmp_path)
    copy = hums[0].file_name.replace("Q1.wav", "Q1 (1).wav")
    (tmp_path / "segmented" / copy).write_bytes((tmp_path / "segmented" / hums[0].file_name).read_bytes())
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        plan_renames(tmp_path)
    assert copy in str(caught.value)
    assert hums[0].file_name in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == files


def test_an_interrupted_renaming_goes_on(tmp_path):
    (hum,) = make_corpus(tmp_path, tapes=["x.wav"], clips_per_tape=1, hums_per_clip=1)
    dated = "387_20201207_101530.flac"
    (tmp_path / "labelled_recordings" / hum.clip).rename(tmp_path / "labelled_recordings" / dated)
    (tmp_path / "raw_recordings" / "x.wav").rename(tmp_path / "raw_recordings" / dated)
    name = f"{dated}_{hum.start_s}_{hum.end_s}_q1.flac"
    (tmp_path / "segmented" / hum.file_name).rename(tmp_path / "segmented" / name)
    while renames := plan_renames(tmp_path):
        rename(renames[:1])
    tape = "387_20201207_101530_cut.flac"
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == [
        f"labelled_recordings/{tape}_0_10.flac",
        f"raw_recordings/{tape}",
        f"segmented/{tape}_0_10.flac_{hum.start_s:g}_{hum.end_s:g}Q1.flac",
    ]


def test_a_raw_recording_keeps_its_unicode_form(tmp_path):
    make_corpus(tmp_path, tapes=["Grün_20201207_cut.wav"], clips_per_tape=1, hums_per_clip=1)
    raw = tmp_path / "raw_recordings" / "Grün_20201207_cut.wav"
    raw.rename(raw.with_name(unicodedata.normalize("NFD", raw.name)))
    assert plan_renames(tmp_path) == []
