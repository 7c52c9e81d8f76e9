import unicodedata
from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hum_shared import names
from hum_shared.errors import NameFormatError

# Names as people give them: any character but the folder separator and NUL.
words = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
suffixes = st.sampled_from([".wav", ".WAV", ".flac", ".ogg", ".mp3", ".aif", ".aiff"])
tapes = st.builds(str.__add__, words, suffixes)
milliseconds = st.integers(0, 10**8)
HOSTILE = [
    "Grüne Weide",
    "a.b.c",
    "it's $HOME",
    'say "moo"',
    "two\nlines",
    "tab\there",
    "_",
    "-",
    "x.wav",
    "#1",
    "日本",
]


@given(tapes, milliseconds, st.integers(1, 10**7))
def test_clip_round_trip(tape: str, start_ms: int, length_ms: int) -> None:
    parsed = names.parse_recording(names.format_clip(tape, start_ms / 1000, (start_ms + length_ms) / 1000))
    assert parsed.tape == names.composed(tape)
    assert (parsed.offset_s, parsed.end_s) == (start_ms / 1000, (start_ms + length_ms) / 1000)


@given(tapes, milliseconds, st.integers(1, 10**7), st.integers(0, 9))
def test_hum_round_trip(clip: str, start_ms: int, length_ms: int, quality: int) -> None:
    hum = names.HumName(clip, start_ms / 1000, (start_ms + length_ms) / 1000, quality)
    name = names.format_hum(hum)
    assert names.parse_hum(name) == hum
    assert names.canonical_hum(name) == name


@given(
    st.from_regex(r"[^-/\0]{1,10}", fullmatch=True),
    words,
    st.integers(0, 10**7),
    st.integers(0, 9999),
    tapes,
    milliseconds,
    milliseconds,
)
def test_dataset_clip_round_trip(
    class_name: str, label: str, number: int, year: int, tape: str, start_ms: int, end_ms: int
) -> None:
    assume(all(ord(letter) < 0xD800 or ord(letter) > 0xDFFF for letter in class_name))
    clip = names.DatasetClipName(class_name, label, number, f"{year:04d}", names.tape_key(tape), start_ms, end_ms)
    name = names.format_dataset_clip(clip)
    assert names.parse_dataset_clip(name) == clip
    assert names.class_of(name) == class_name


@given(words)
def test_every_other_name_is_a_tape_of_its_own(name: str) -> None:
    assume(name not in {".", ".."})
    assume("_" not in name)
    parsed = names.parse_recording(name)
    assert (parsed.name, parsed.tape, parsed.offset_s, parsed.end_s) == (name, names.composed(name), 0.0, None)
    assert not parsed.follows_grammar


@given(words, suffixes)
def test_stem_loses_the_suffix_and_nothing_else(word: str, suffix: str) -> None:
    assert names.recording_stem(word + suffix) == word


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_names_are_kept_whole(word: str) -> None:
    clip = names.format_clip(f"{word}_20201207_rec 2_cut.wav", 12.5, 900)
    parsed = names.parse_recording(f"some/folder/{clip}")
    assert parsed.name == clip
    assert parsed.tape == names.composed(f"{word}_20201207_rec 2_cut.wav")
    assert (parsed.animal, parsed.year) == (word, "2020")
    assert names.parse_hum(f"{clip}_1_2Q3.wav").clip == clip


@pytest.mark.parametrize(
    ("name", "animal", "year"),
    [
        ("387_20201207_cut.wav", "387", "2020"),
        ("387_20201207_left mic_cut.wav", "387", "2020"),
        ("387_20201207_cut.wav_900_1800.wav", "387", "2020"),
        ("20210304_101112.wav", "UNKN", "2021"),
        ("Bella_20210304_101112 windy day.wav", "Bella", "2021"),
        ("387_20201207.wav", "UNKN", "0000"),
        ("meadow.wav", "UNKN", "0000"),
    ],
)
def test_animal_and_year(name: str, animal: str, year: str) -> None:
    parsed = names.parse_recording(name)
    assert (parsed.animal, parsed.year) == (animal, year)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_cut.wav_900_1800.wav_12.3_13.1Q2.wav", names.HumName("a_cut.wav_900_1800.wav", 12.3, 13.1, 2)),
        ("a_cut.wav_0_9.wav_1_2_h_q3.wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 3)),
        ("a_cut.wav_0_9.wav_1_2_hw_q1.wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 1)),
        ("a_cut.wav_0_9.wav_1_2Q3_schön.wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 3)),
        ("a_cut.wav_0_9.wav_1_2Q3 (2).wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 3)),
        ("a_cut.wav_0_9.wav_1_2Q3_take2.wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 3)),
        ("a_cut.wav_0_9.wav_1_2_h_q2_copy (1).wav", names.HumName("a_cut.wav_0_9.wav", 1, 2, 2)),
        ("B_20210304_101112 note.wav_1.25_2.5Q1.wav", names.HumName("B_20210304_101112 note.wav", 1.25, 2.5, 1)),
    ],
)
def test_known_variants_of_a_hum_are_read(name: str, expected: names.HumName) -> None:
    assert names.parse_hum(name) == expected
    assert names.canonical_hum(name) == names.format_hum(expected)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("a_cut.flac_0_9.flac_1_2Q3.FLAC", "a_cut.flac_0_9.flac_1_2Q3.FLAC"),
        ("a_cut.flac_0_9.flac_1.50_2_h_q3.flac", "a_cut.flac_0_9.flac_1.5_2Q3.flac"),
    ],
)
def test_a_hum_keeps_the_suffix_of_its_format(name: str, canonical: str) -> None:
    assert names.canonical_hum(name) == canonical


def test_a_clip_keeps_the_suffix_of_its_format() -> None:
    assert names.canonical_clip("B_20210304_101112_checked.wav", 9) == "B_20210304_101112_cut.wav_0_9.wav"
    assert names.canonical_clip("B_20210304_101112 (1).wav", 9) == "B_20210304_101112_cut.wav_0_9.wav"
    assert names.canonical_clip("B_20210304_101112 a_b.wav", 9) == "B_20210304_101112 a_b_cut.wav_0_9.wav"
    assert names.canonical_clip("B_20210304_101112.flac", 9) == "B_20210304_101112_cut.flac_0_9.flac"


@pytest.mark.parametrize("appended", ["_checked", " (1)", "(2)", "_schön_v2 (3)"])
def test_what_is_appended_to_a_clips_name_does_not_hide_its_times(appended: str) -> None:
    name = f"387_20201207_cut.wav_900_1800.5{appended}.wav"
    parsed = names.parse_recording(name)
    assert (parsed.name, parsed.tape, parsed.offset_s) == (name, "387_20201207_cut.wav", 900)
    assert names.canonical_clip(name, 900.5) == "387_20201207_cut.wav_900_1800.5.wav"


@pytest.mark.parametrize(
    "name",
    ["a.wav_1_2.wav", "a_1_2Q3.wav", "a.wav_1_2Q.wav", "a.wav_1_2Q12.wav", "a.wav_-1_2Q3.wav", "a.wav_1_2Q3.txt", ""],
)
def test_what_is_no_hum_is_refused(name: str) -> None:
    with pytest.raises(NameFormatError, match="not a hum's name"):
        names.parse_hum(name)


def test_times_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(NameFormatError, match="ends at 2 s, not after its start 3 s"):
        names.parse_hum("a.wav_0_9.wav_3_2Q1.wav")
    with pytest.raises(NameFormatError, match="ends at 900 s, not after its start 900 s"):
        names.parse_recording("a.wav_900_900.wav")


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(NameFormatError, match="Rename the file"):
        names.parse_recording(b"gr\xfcn.wav".decode(errors="surrogateescape"))


def test_digits_of_other_scripts_are_no_times() -> None:
    assert names.parse_recording("a.wav_٣_٤.wav").end_s is None


@pytest.mark.parametrize("name", ["target", "-x.wav", "noise_1.wav"])
def test_class_needs_a_dash(name: str) -> None:
    with pytest.raises(NameFormatError, match="carries no class"):
        names.class_of(name)


def test_dataset_clip_of_the_specification() -> None:
    name = "target-Q2_000001_2020_387-20201207-cut_0012345_0013210.wav"
    parsed = names.parse_dataset_clip(name)
    assert parsed == names.DatasetClipName("target", "Q2", 1, "2020", "387-20201207-cut", 12345, 13210)
    assert names.tape_key("387_20201207_cut.wav") == "387-20201207-cut"
    with pytest.raises(NameFormatError, match="not a dataset clip's name"):
        names.parse_dataset_clip("target-Q2_000001_2020.wav")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (900, "900"), (12.3, "12.3"), (1e-6, "0.000001"), (1e7, "10000000"), (0.5000001, "0.5")],
)
def test_seconds_in_names(seconds: float, text: str) -> None:
    assert names.format_seconds(seconds) == text


@pytest.mark.parametrize(("name", "expected"), [("a.WAV", True), ("a.b.Flac", True), ("a.txt", False), ("wav", False)])
def test_audio_by_suffix(name: str, expected: bool) -> None:
    assert names.is_audio(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20240131_235959.WAV", datetime(2024, 1, 31, 23, 59, 59)),
        ("SM4 'Ä' $1.v2_20240131T000001.flac", datetime(2024, 1, 31, 0, 0, 1)),
        ("387_20201207_120000_cut.wav_900_1800.wav", datetime(2020, 12, 7, 12, 0, 0)),
        ("99999999_250000_20201207_120000.wav", datetime(2020, 12, 7, 12, 0, 0)),
        ("387_20201207_cut.wav_120000_120001.wav", None),
        ("120201207_1200001.wav", None),
        ("SITE-B_2024-05-07_22-30-00.wav", datetime(2024, 5, 7, 22, 30, 0)),
        ("2024-05-07T040000Z.wav", datetime(2024, 5, 7, 4, 0, 0)),
        ("REC 20240508 010000.wav", datetime(2024, 5, 8, 1, 0, 0)),
        ("Pond A 2024-05-03 21-00-00.wav", datetime(2024, 5, 3, 21, 0, 0)),
        ("2024-0508 010000.wav", None),
        ("rec_1001-10-10_10-10-10.wav", None),
        ("2451_12_10-112233.wav", None),
    ],
)
def test_the_clock_at_a_tapes_start_is_read_from_its_name(name, expected):
    assert names.tape_start(name) == expected


def test_tapes_of_two_unicode_forms_are_one_tape_and_names_stay_as_they_are() -> None:
    name = unicodedata.normalize("NFD", "Grün_20240131_cut.wav_0_10.wav")
    found = names.parse_recording(name)
    assert found.tape == unicodedata.normalize("NFC", "Grün_20240131_cut.wav")
    assert found.name == name
    assert names.tape_key(unicodedata.normalize("NFD", "Grün.wav")) == names.tape_key("Grün.wav")
