import shutil
import unicodedata

import pytest

from hum_shared.selections import Selection, write_selections
from hum_trainer.indexing import index_corpus
from hum_trainer.owners import Owners
from hum_trainer.raven_labels import placed, quality_of, table_files
from support.corpora import make_corpus

OWNERS = Owners(["a.wav", "a.b.wav", "a.wav_10_20.wav", "Stall Süd.flac"])


@pytest.mark.parametrize(
    ("table", "recording"),
    [
        ("a.txt", "a.wav"),
        ("a.Table.1.selections.txt", "a.wav"),
        ("a.b.Table.1.selections.txt", "a.b.wav"),
        ("a.wav.selections.txt", "a.wav"),
        ("a.wav_10_20.Table.1.selections.txt", "a.wav_10_20.wav"),
        ("a_predict_output.log.annotation.result.txt", "a.wav"),
        ("Stall Süd.txt", "Stall Süd.flac"),
        ("a1.txt", None),
        ("README.txt", None),
    ],
)
def test_a_table_belongs_to_the_longest_recording_name_it_starts_with(table, recording):
    assert OWNERS.of_table(table) == recording


def test_a_name_of_two_unicode_forms_is_one_name():
    assert OWNERS.of_table(unicodedata.normalize("NFD", "Stall Süd.txt")) == "Stall Süd.flac"


@pytest.mark.parametrize(
    ("table", "file", "recording"),
    [
        ("a_2.Table.1.selections.txt", "a_2.wav", None),
        ("a_2.Table.1.selections.txt", "a.wav", "a.wav"),
        ("a.Table.1.selections.txt", "before_it_was_renamed.wav", "a.wav"),
        (
            unicodedata.normalize("NFD", "Stall Süd.txt"),
            unicodedata.normalize("NFD", "Stall Süd.flac"),
            "Stall Süd.flac",
        ),
    ],
)
def test_a_row_of_a_file_that_the_table_is_named_for_and_that_is_not_there_is_nobodys(table, file, recording):
    row = Selection(1, 2, extra={"Begin File": file, "File Offset (s)": "1"})
    assert placed(row, table, OWNERS.of_table(table), OWNERS) == (recording and (recording, 1, 2))


def test_a_recording_with_nothing_but_somebody_elses_table_is_not_labelled(tmp_path):
    make_corpus(tmp_path / "whole", tapes=["a.wav", "b.wav"])
    (tmp_path / "flat").mkdir()
    for name in ("a.wav", "b.wav"):
        shutil.move(tmp_path / "whole" / "raw_recordings" / name, tmp_path / "flat")
    (tmp_path / "flat" / "a_2.Table.1.selections.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\n1\t1\t2\ta_2.wav\t1\n"
    )
    write_selections(tmp_path / "flat" / "b.txt", [Selection(1, 2)])
    indexed = index_corpus(tmp_path / "flat", from_selections=True)
    assert indexed.unlabelled == ["a.wav"]
    assert [problem.kind for problem in indexed.problems] == ["table"]


@pytest.mark.parametrize(
    ("table", "asks"),
    [
        ("a.txt", False),
        ("a.Table.2.txt", False),
        ("a_2.Table.1.txt", True),
        ("a.wav_10_20.txt", True),
        ("a (1).txt", True),
    ],
)
def test_a_table_that_may_be_of_another_recording_is_named(tmp_path, table, asks):
    make_corpus(tmp_path, tapes=["a.wav"])
    shutil.rmtree(tmp_path / "labelled_recordings")
    write_selections(tmp_path / table, [Selection(1, 2)])
    indexed = index_corpus(tmp_path, from_selections=True)
    assert len(indexed.index.entries) == 1
    assert [problem.left_out for problem in indexed.problems] == [False] * asks
    assert all("taken for a table of a.wav" in problem.message for problem in indexed.problems)


def test_a_start_that_was_moved_in_a_table_of_one_file_counts(tmp_path):
    row = Selection(10.1, 11.0, extra={"Begin File": "a.wav", "File Offset (s)": "10.0"})
    assert placed(row, "a.Table.1.txt", "a.wav", OWNERS) == ("a.wav", 10.1, 11.0)
    behind = Selection(510.1, 511.0, extra={"Begin File": "a.wav", "File Offset (s)": "10.0"})
    assert placed(behind, "a.Table.1.txt", "a.wav", OWNERS) == ("a.wav", 10.0, pytest.approx(10.9))


def test_the_table_of_all_recordings_of_an_export_is_left_out_beside_those_of_each(tmp_path):
    make_corpus(tmp_path, tapes=["a.wav"])
    shutil.rmtree(tmp_path / "labelled_recordings")
    row = Selection(1, 2, extra={"Begin File": "a.wav", "File Offset (s)": "1"})
    more = Selection(3, 4, extra={"Begin File": "a.wav", "File Offset (s)": "3"})
    write_selections(tmp_path / "all_recordings.txt", [row, more], extra_columns=tuple(row.extra))
    assert len(index_corpus(tmp_path, from_selections=True).index.entries) == 2
    write_selections(tmp_path / "a.Table.1.selections.txt", [row], extra_columns=tuple(row.extra))
    indexed = index_corpus(tmp_path, from_selections=True)
    assert len(indexed.index.entries) == 1
    assert "all_recordings.txt: left out" in indexed.problems[0].message


def test_tables_in_linked_folders_are_found_and_hidden_ones_and_datasets_are_not(tmp_path):
    for name in ("elsewhere/a.txt", "corpus/b.tsv", "corpus/dataset_x/c.txt", "corpus/.trash/d.txt", "corpus/._e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "corpus/tables").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "corpus")
    found = table_files(tmp_path / "corpus")
    assert [path.relative_to(tmp_path / "corpus").as_posix() for path in found] == ["b.tsv", "tables/a.txt"]


@pytest.mark.parametrize(
    ("selection", "quality"),
    [
        (Selection(0, 1, extra={"Quality": "3"}), 3),
        (Selection(0, 1, extra={"q": "Q2"}), 2),
        (Selection(0, 1, extra={"Q": ""}, comments="q1"), 1),
        (Selection(0, 1, comments="laut, Q3!"), 3),
        (Selection(0, 1, sound_type="hum_Q2"), 2),
        (Selection(0, 1, comments="quality: 1"), 1),
        (Selection(0, 1, comments="Q20"), None),
        (Selection(0, 1, comments="seq3"), None),
        (Selection(0, 1), None),
    ],
)
def test_quality_comes_from_a_column_or_the_text(selection, quality):
    assert quality_of(selection) == quality


def tables_corpus(root):
    """Turn the corpus in `root` into one with tables beside its clips; returns its hums."""
    hums = make_corpus(root)
    shutil.rmtree(root / "segmented")
    for clip in sorted({hum.clip for hum in hums}):
        rows = [
            Selection(h.start_s, h.end_s, sound_type="hum", comments=f"Q{h.quality}") for h in hums if h.clip == clip
        ]
        rows.append(Selection(0, 0.05, sound_type="noise"))
        write_selections(root / "labelled_recordings" / f"{clip.removesuffix('.wav')}.Table.1.selections.txt", rows)
    return hums


def test_tables_give_the_entries_that_cut_out_hums_give(tmp_path):
    make_corpus(tmp_path / "cut" / "c")
    tables_corpus(tmp_path / "tables" / "c")
    from_files = index_corpus(tmp_path / "cut" / "c").index
    from_tables = index_corpus(tmp_path / "tables" / "c", from_selections=True).index
    expected = [entry.model_copy(update={"hum_path": None}) for entry in from_files.entries]
    assert from_tables.entries == expected
    assert from_tables.meta.recordings == from_files.meta.recordings


def test_a_recording_without_table_is_left_out_and_one_with_an_empty_table_is_not(tmp_path):
    hums = tables_corpus(tmp_path)
    first, second = sorted({hum.clip for hum in hums})[:2]
    (tmp_path / "labelled_recordings" / f"{first.removesuffix('.wav')}.Table.1.selections.txt").unlink()
    write_selections(tmp_path / "labelled_recordings" / f"{second.removesuffix('.wav')}.Table.1.selections.txt", [])
    indexed = index_corpus(tmp_path, from_selections=True)
    recordings = {recording.name for recording in indexed.index.meta.recordings}
    assert indexed.unlabelled == [f"labelled_recordings/{first}"]
    assert first not in recordings
    assert second in recordings
    assert len(indexed.index.entries) == 16


def test_tables_and_recordings_may_lie_in_one_plain_folder(tmp_path):
    make_corpus(tmp_path / "whole", tapes=["Süd.v2.wav"])
    (tmp_path / "flat").mkdir()
    shutil.move(tmp_path / "whole" / "raw_recordings" / "Süd.v2.wav", tmp_path / "flat")
    write_selections(tmp_path / "flat" / "Süd.v2.txt", [Selection(1, 2)])
    (tmp_path / "flat" / "README.txt").write_text("no table")
    indexed = index_corpus(tmp_path / "flat", from_selections=True)
    (entry,) = indexed.index.entries
    assert (entry.clip_path, entry.quality, entry.raw_start_s) == ("Süd.v2.wav", None, 1)
    assert not indexed.problems


def test_a_table_without_recording_and_a_row_without_length_are_named(tmp_path):
    hums = tables_corpus(tmp_path)
    write_selections(tmp_path / "verwaist.txt", [Selection(1, 2)])
    write_selections(tmp_path / f"{hums[0].clip.removesuffix('.wav')}.Table.2.selections.txt", [Selection(3, 3)])
    messages = " ".join(problem.message for problem in index_corpus(tmp_path, from_selections=True).problems)
    assert "verwaist.txt" in messages
    assert "Table.2.selections.txt selection 1" in messages


def test_a_selection_that_reaches_beyond_its_recording_ends_there(tmp_path):
    hums = tables_corpus(tmp_path)
    table = tmp_path / "labelled_recordings" / f"{hums[0].clip.removesuffix('.wav')}.Table.1.selections.txt"
    write_selections(table, [Selection(9, 12), Selection(9, 13), Selection(11, 12)])
    indexed = index_corpus(tmp_path, from_selections=True)
    (entry,) = [entry for entry in indexed.index.entries if entry.recording == hums[0].clip]
    assert (entry.clip_start_s, entry.clip_end_s, entry.dur_s) == (9, entry.clip_dur_s, entry.clip_dur_s - 9)
    assert entry.raw_end_s - entry.raw_start_s == entry.dur_s
    assert [problem.kind for problem in indexed.problems] == ["outside clip", "duplicate", "outside clip"]
    beyond, _, behind = indexed.problems
    assert "9–12 s lie outside its clip of 10 s; it is taken to end there" in beyond.message
    assert (beyond.left_out, behind.left_out) == (False, True)


def test_a_table_of_a_clip_without_cut_out_calls_is_told_of(tmp_path):
    make_corpus(tmp_path)
    clip, labelled = "999_20210101_cut.wav", min((tmp_path / "labelled_recordings").iterdir())
    shutil.copy(labelled, tmp_path / "labelled_recordings" / clip)
    calls = [Selection(1, 2), Selection(3, 4), Selection(5, 6, sound_type="noise")]
    write_selections(tmp_path / "999_20210101_cut.Table.1.selections.txt", calls)
    write_selections(tmp_path / f"{labelled.stem}.Table.1.selections.txt", calls)  # its calls are cut out
    write_selections(tmp_path / "999_20210101_cut_predict_output.log.annotation.result.txt", calls)  # a model's
    (tmp_path / "999_20210101_cut.txt").write_text("windy, two animals\n")
    (problem,) = index_corpus(tmp_path).problems
    assert f"{clip}: none of its calls are cut out, and the 2 of its selection table are not read" in problem.message


def test_a_table_of_a_labelled_clip_is_not_taken_for_one_whose_name_it_goes_on_from(tmp_path):
    hums = make_corpus(tmp_path)
    labelled = hums[0].clip
    shutil.copy(tmp_path / "labelled_recordings" / labelled, tmp_path / "labelled_recordings" / f"{labelled[:8]}.wav")
    write_selections(tmp_path / f"{labelled.removesuffix('.wav')}.Table.1.selections.txt", [Selection(1, 2)])
    assert index_corpus(tmp_path).problems == []


@pytest.mark.parametrize(
    ("column", "first", "second", "n_problems"),
    [
        ("Species", "frog $1", "Vögel", 1),
        ("Observer", "frog $1", "Vögel", 0),
        ("Annotation date", "frog $1", "Vögel", 0),
        ("Species", "frog $1", "Frog $1", 0),
        ("Class", "1", "2", 0),
    ],
)
def test_a_column_by_which_rows_are_of_several_kinds_is_told_of(tmp_path, column, first, second, n_problems):
    make_corpus(tmp_path)
    clips = sorted(path.stem for path in (tmp_path / "labelled_recordings").iterdir())
    for clip, kind in zip(clips[:2], (first, second), strict=True):
        rows = [Selection(1, 2, extra={column: kind}), Selection(3, 4, extra={column: first})]
        write_selections(tmp_path / f"{clip}.Table.1.selections.txt", rows, extra_columns=[column])
    problems = index_corpus(tmp_path, from_selections=True).problems
    assert len(problems) == n_problems
    if problems:
        assert "column 'Species' says 'frog $1' (3), 'vögel' (1), but types are read from" in problems[0].message


def test_free_text_is_no_kind(tmp_path):
    make_corpus(tmp_path)
    clip = min((tmp_path / "labelled_recordings").iterdir()).stem
    rows = [Selection(begin, begin + 0.5, extra={"Annotation": f"call no. {begin}"}) for begin in range(1, 7)]
    write_selections(tmp_path / f"{clip}.Table.1.selections.txt", rows, extra_columns=["Annotation"])
    assert index_corpus(tmp_path, from_selections=True).problems == []
