from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.errors import InputError, TableError
from hum_shared.selections import (
    CORPUS_COLUMNS,
    EVALUATION_COLUMNS,
    POSTRF_COLUMNS,
    Selection,
    format_selections,
    read_selection_table,
    read_selections,
    write_selections,
)

HEADER = "Selection\tView\tChannel\tBegin time (s)\tEnd time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSound type\tComments"

cells = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]))
milliseconds = st.integers(0, 10**9)
extra_names = st.sampled_from(["Annotator", "Größe", "my note", "$x"])


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    begin_ms = draw(milliseconds)
    return Selection(
        begin_s=begin_ms / 1000,
        end_s=(begin_ms + draw(st.integers(0, 10**6))) / 1000,
        low_hz=draw(st.integers(0, 20_000)),
        high_hz=draw(st.integers(0, 20_000)),
        sound_type=draw(cells),
        comments=draw(cells),
        cnn_logit_mean=draw(st.none() | st.integers(-(10**7), 10**7).map(lambda value: value / 1e6)),
    )


def _table(folder: Path, text: str) -> list[Selection]:
    path = folder / "Grün $1.txt"
    path.write_bytes(text.encode())
    return read_selections(path)


@given(
    st.lists(selections()), st.sampled_from([EVALUATION_COLUMNS, POSTRF_COLUMNS]), st.lists(extra_names, unique=True)
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Selection], columns: tuple[str, ...], extra: list[str]
) -> None:
    rows = [Selection(**{**vars(row), "extra": {name: f"{name} {i}" for name in extra}}) for i, row in enumerate(rows)]
    path = tmp_path_factory.getbasetemp() / "table.txt"
    write_selections(path, rows, columns)
    assert read_selections(path) == rows


def test_exact_text() -> None:
    rows = [
        Selection(0, 0.4, 0, 4000, "target", cnn_logit_mean=1.5),
        Selection(12.3456789, 13.0, 500, 12000, "target", 'says "moo"', -0.25),
    ]
    assert format_selections(rows) == (
        "Selection\tView\tChannel\tBegin time (s)\tEnd time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSound type\tComments\t"
        "CNN logit (mean)\n"
        "1\tSpectrogram_1\t1\t0\t0.4\t0\t4000\ttarget\t\t1.500000\n"
        '2\tSpectrogram_1\t1\t12.345679\t13\t500\t12000\ttarget\tsays "moo"\t-0.250000\n'
    )


def test_columns_after_the_filter_stand_in_their_order() -> None:
    header = format_selections([], POSTRF_COLUMNS).rstrip("\n").split("\t")
    assert header[-3:] == ["CNN logit (mean)", "Sound type", "Comments"]
    assert "CNN logit (mean)" not in format_selections([], CORPUS_COLUMNS)


def test_no_selections_give_the_header_alone(tmp_path: Path) -> None:
    text = format_selections([])
    assert text == "\t".join(EVALUATION_COLUMNS) + "\n"
    assert _table(tmp_path, text) == []


def test_text_that_would_break_a_row_is_flattened(tmp_path: Path) -> None:
    row = Selection(0, 1, comments="a\tb\nc\r\nd", extra={"note\tx": "1\n2"})
    read = _table(tmp_path, format_selections([row]))
    assert [(one.comments, dict(one.extra)) for one in read] == [("a b c  d", {"note x": "1 2"})]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "\r\n1\tSpectrogram 1\t1\t1.5\t2.5\t0\t4000\thum\tx\r\n\r\n",
        "Sound_type\tEnd Time (s)\tBegin Time (s)\tHIGH FREQ (HZ)\tcomments\r\nhum\t2.5\t1.5\t4000\tx",
        "begin_time_s\tEND TIME S\tHigh Freq (Hz)\tSoundType\tComments\n1.5\t2.5\t4000\thum\tx\n",
        "\n\t\t\n" + HEADER + "\n\n1\tSpectrogram 1\t1\t1.5\t2.5\t0\t4000\thum\tx\n",
    ],
)
def test_reading_is_tolerant(tmp_path: Path, text: str) -> None:
    assert _table(tmp_path, text) == [Selection(1.5, 2.5, 0, 4000, "hum", "x")]


def test_unknown_columns_are_kept_in_order(tmp_path: Path) -> None:
    (row,) = _table(tmp_path, "Zeta\tBegin time (s)\tEnd time (s)\tAlpha\n1\t0\t1\t2\n")
    assert list(row.extra.items()) == [("Zeta", "1"), ("Alpha", "2")]
    assert format_selections([row]).splitlines()[0].endswith("CNN logit (mean)\tZeta\tAlpha")


def test_quotes_are_plain_characters(tmp_path: Path) -> None:
    (row,) = _table(tmp_path, 'Begin time (s)\tEnd time (s)\tComments\n0\t1\t"open\n')
    assert row.comments == '"open'


def test_a_selection_shown_in_two_views_is_read_once(tmp_path: Path) -> None:
    text = "Selection\tView\tBegin time (s)\tEnd time (s)\n"
    text += "1\tWaveform 1\t0\t1\n1\tSpectrogram 1\t0\t1\n2\tWaveform 1\t2\t3\n2\tSpectrogram 1\t2\t3\n"
    assert [row.begin_s for row in _table(tmp_path, text)] == [0, 2]


def test_a_table_of_the_waveform_view_alone_is_read(tmp_path: Path) -> None:
    text = "Selection\tView\tBegin time (s)\tEnd time (s)\n1\tWaveform 1\t0\t1\n2\tWaveform 1\t2\t3\n"
    assert [row.begin_s for row in _table(tmp_path, text)] == [0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a header"),
        ("\n\n", "empty; expected a header"),
        ("Selection\tBegin time (s)\n1\t0\n", r"no column End time \(s\); found: Selection, Begin time \(s\)"),
        ("Begin time (s),End time (s)\n0,1\n", r"found: Begin time \(s\),End time \(s\) \(tab-separated\?\)"),
        ("Begin time (s)\tEnd time (s)\n0\t1\n\n0,5\t1\n", r"line 4: Begin time \(s\) is '0,5', not a number"),
        ("Begin time (s)\tEnd time (s)\n0\tinf\n", r"line 2: End time \(s\) is 'inf', not a number"),
        ("Begin time (s)\tEnd time (s)\nnan\t1\n", r"line 2: Begin time \(s\) is 'nan', not a number"),
        ("Begin time (s)\tEnd time (s)\n0\n", "line 2: begin or end time is missing"),
        ("Begin time (s)\tEnd time (s)\n2\t1\n", "line 2: begin 2.0 s and end 1.0 s are no interval"),
        ("Begin time (s)\tEnd time (s)\n-1\t1\n", "line 2: begin -1.0 s and end 1.0 s are no interval"),
    ],
)
def test_a_broken_table_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message) as caught:
        _table(tmp_path, text)
    assert str(tmp_path / "Grün $1.txt") in str(caught.value)


def test_a_missing_or_binary_table_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_selections(tmp_path / "none.txt")
    (tmp_path / "x.txt").write_bytes(b"RIFF\xff\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_selections(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [(["3", "7"], [3, 7]), (["1", "1"], [1, 2]), (["", "2"], [1, 2]), (["a", "2"], [1, 2]), ([], [])],
)
def test_rows_keep_their_numbers_where_each_has_its_own(tmp_path: Path, cells: list[str], numbers: list[int]) -> None:
    path = tmp_path / "t.txt"
    rows = [f"{cell}\t{place}\t{place + 1}\n" for place, cell in enumerate(cells)]
    path.write_text("Selection\tBegin Time (s)\tEnd Time (s)\n" + "".join(rows), encoding="utf-8")
    assert read_selection_table(path).numbers == numbers


def test_columns_of_an_empty_table_are_known_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("Begin Time (s)\tEnd Time (s)\tMy note\tCNN_logit mean\n", encoding="utf-8")
    table = read_selection_table(path)
    assert (table.rows, table.extra_columns) == ([], ("My note",))
    assert format_selections([], extra_columns=["My note"]).split("\t")[-1] == "My note\n"
