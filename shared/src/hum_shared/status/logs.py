"""The end of a log as text a person can read."""

from __future__ import annotations

import re

# Escape sequences of terminals: CSI (colours, cursor), OSC (titles, links), and two-character ones.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def log_text(tail: bytes, n_lines: int, *, cut: bool) -> str:
    """Return the last lines of a log.

    Parameters
    ----------
    tail
        Its last bytes.
    n_lines
        Lines to return at most.
    cut
        Whether there are bytes before them: the first line is then no whole one and is left out.

    Returns
    -------
    str
        Without colours and control characters; of a line that was drawn over, the last drawing. Bytes that are
        no UTF-8 are replaced.
    """
    lines = tail.decode("utf-8", "replace").split("\n")
    if cut and len(lines) > 1:
        lines = lines[1:]
    drawn = (line.removesuffix("\r").rpartition("\r")[2] for line in lines)
    plain = [_CONTROL.sub("", _ESCAPE.sub("", line)) for line in drawn]
    while plain and not plain[-1]:
        plain.pop()
    return "".join(f"{line}\n" for line in plain[-n_lines:])
