"""The end of a log as a person can read it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.status.logs import log_text


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        (b"", ""),
        (b"\n\n\n", ""),
        (b"one", "one\n"),
        (b"one\ntwo\n\n\n", "one\ntwo\n"),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"10 %\r20 %\r30 %\nend\n", "30 %\nend\n"),
        (b"10 %\r20 %\r", "20 %\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07\n", "red link\n"),
        (b"\x1b[?25l\x1b[2K\x1b[1A|\n", "|\n"),
        (b"tab\there\x00\x07\x7f\n", "tab\there\n"),
        ("ü €".encode() + b"\xff\n", "ü €�\n"),
    ],
)
def test_what_a_terminal_would_show_is_left(log: bytes, shown: str) -> None:
    assert log_text(log, 10, cut=False) == shown


def test_the_last_lines_are_shown() -> None:
    assert log_text(b"1\n2\n3\n4\n", 2, cut=False) == "3\n4\n"


def test_a_line_that_was_cut_is_left_out() -> None:
    assert log_text(b"alf a line\nwhole\n", 9, cut=True) == "whole\n"
    assert log_text(b"one endless line", 9, cut=True) == "one endless line\n"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_text_without_control_characters(log: bytes, cut: bool) -> None:
    shown = log_text(log, 5, cut=cut)
    assert shown.count("\n") <= 5
    assert not [character for character in shown if ord(character) < 32 and character not in "\n\t"]
