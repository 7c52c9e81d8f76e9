import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from hum_shared.errors import InputError
from hum_shared.index import write_index
from hum_shared.selections import read_selections
from hum_trainer.cli import app
from hum_trainer.indexing import index_corpus
from hum_trainer.tables import chosen, corpus_tables, write_tables
from support.corpora import make_corpus


@pytest.fixture
def hums(tmp_path):
    return make_corpus(tmp_path / "c")


@pytest.fixture
def index(tmp_path, hums):
    return index_corpus(tmp_path / "c").index


def test_tables_by_tape_hold_tape_times(tmp_path, hums, index):
    paths = write_tables(tmp_path / "t", corpus_tables(index, index.entries, "raw"))
    assert [path.name for path in paths] == [f"{tape}.selections.txt" for tape in sorted({h.tape for h in hums})]
    rows = read_selections(paths[0])
    expected = [h.offset_s + h.start_s for h in hums if h.tape == "387_20201207_cut.wav"]
    assert [row.begin_s for row in rows] == pytest.approx(expected)
    assert {(row.low_hz, row.high_hz) for row in rows} == {(0, 4000)}


def test_tables_by_clip_hold_clip_times(tmp_path, hums, index):
    paths = write_tables(tmp_path / "t", corpus_tables(index, index.entries, "clip"))
    assert len(paths) == 6
    rows = read_selections(paths[0])
    first = [h for h in hums if paths[0].name == f"{h.clip}.selections.txt"]
    assert [(row.begin_s, row.comments) for row in rows] == [(h.start_s, f"Q{h.quality}") for h in first]


def test_hums_are_chosen_by_quality_and_path(index):
    assert {entry.quality for entry in chosen(index, qualities=[1, 3])} == {1, 3}
    assert len(chosen(index, path_filter="388_")) == 8
    assert len(chosen(index, path_filter=r"38[78]_.*_0_10\.wav", regex=True)) == 8


def test_a_filter_is_plain_text_unless_it_is_a_regular_expression(index):
    with pytest.raises(InputError, match="none of 24 hums"):
        chosen(index, path_filter="38[78]")
    with pytest.raises(InputError, match="no regular expression"):
        chosen(index, path_filter="38[", regex=True)


def test_a_clip_without_calls_has_an_empty_table_so_that_it_is_read_back_as_one(tmp_path):
    make_corpus(tmp_path / "c")
    soundfile.write(tmp_path / "c/labelled_recordings/999_20210101_cut.wav", np.zeros(8000), 8000)
    write_index(tmp_path / "c/corpus_index.json", index_corpus(tmp_path / "c").index)
    out = tmp_path / "tables"
    command = ["selection-tables", "--index", str(tmp_path / "c/corpus_index.json"), "--out", str(out)]
    assert CliRunner().invoke(app, [*command, "--group-by", "clip"]).exit_code == 0
    assert read_selections(out / "999_20210101_cut.wav.selections.txt") == []
    assert len([*out.iterdir()]) == 7
