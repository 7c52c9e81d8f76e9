"""The original programs' prediction log (spec/model-and-scores.md, "Text log"): parsing its lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hum_shared import names
from hum_shared.errors import TableError

TWO_CLASSES = ("noise", "target")
"""Class names of a log that names none."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PREFIX = re.compile(r"[\d:.,\-T ]*\|\s*(D|I|W|E|C|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL)\s*\|(.*)", re.S)
_WINDOW = re.compile(
    rf"time\s*=\s*(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\s*,\s*pred\s*=\s*\d+\s*,"
    rf"\s*(?:pred_class\s*=\s*(?P<class>.+?)-\d+\s*,\s*)?prob\s*=\s*(?P<p>{_NUMBER})\s*;?"
)
_CLASS_PROBABILITY = re.compile(rf"\s*([^;]*?)\s*=\s*({_NUMBER})\s*;")
_FREQUENCIES = re.compile(rf"prediction fmin:\s*({_NUMBER})\s*\[Hz\].*prediction fmax:\s*({_NUMBER})\s*\[Hz\]")
_SAMPLES = re.compile(r"size of the file\(samples\)\s*=\s*(\d+)")
_HOP = re.compile(r"size of hop\(samples\)\s*=\s*(\d+)")
_OUTPUT_LAYER = "output_layer:"
_TIME_S = 0.005  # times are rounded to milliseconds


@dataclass(frozen=True)
class TextLog:
    """What a prediction log says.

    Attributes
    ----------
    recording
        Full file name; None when no line before the first window names a file.
    classes
        Names in index order.
    low_hz, high_hz
        The model's fmin and fmax; None when unknown.
    dur_s
        Length of the recording; the last window's end when the log does not say.
    start_s, end_s
        Reported times, shape (n,), seconds.
    probs
        Shape (n, classes).
    unscored_s
        What lies behind the last window, where that is more than a hop: prediction did not finish; else 0.
    """

    recording: str | None
    classes: tuple[str, ...]
    low_hz: float | None
    high_hz: float | None
    dur_s: float
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    probs: NDArray[np.float64]
    unscored_s: float


@dataclass
class _Window:
    line: int
    start_s: float
    end_s: float
    p: float
    by_class: dict[str, float] | None


def recording_in(lines: Iterable[str]) -> str | None:
    """Return the recording's file name from the first lines of a log; None when none carries a path."""
    for _, level, message in _messages(lines):
        if _WINDOW.match(message):
            return None
        if level in ("I", "INFO") and names.is_audio(name := _base_name(message)):
            return name
    return None


def parse_log(lines: Sequence[str]) -> TextLog:
    """Read the lines of a log.

    Both levels' spellings (``|I|``, ``|INFO|``) and both window formats are read: two classes
    (``time=…, pred=…, prob=…``) and more (``pred_class=NAME-IDX``, then ``output_layer:`` and a line
    ``NAME=P;`` per class, with or without the time and level in front). Lines of other kinds are skipped.

    Raises
    ------
    TableError
        When there is no window, a window's line is cut off, or a window lacks class probabilities; names
        the line.
    """
    data_opts: Mapping[str, Any] = {}
    distribution: Any = None
    samples: int | None = None
    hop: int | None = None
    frequencies: tuple[float, float] | None = None
    windows: list[_Window] = []
    collecting = False
    for number, _, message in _messages(lines):
        if message.startswith("time="):
            windows.append(_window(message, number))
            collecting = False
            continue
        if windows and (message.strip().startswith(_OUTPUT_LAYER) or collecting):
            collecting = _collect(message.strip().removeprefix(_OUTPUT_LAYER), windows[-1])
            continue
        if message.startswith("dataOpts:"):
            parsed = _literal(message.removeprefix("dataOpts:"))
            data_opts = parsed if isinstance(parsed, Mapping) else {}
        elif message.startswith("class distribution:"):
            distribution = _literal(message.removeprefix("class distribution:"))
        elif found := _SAMPLES.search(message):
            samples = int(found[1])
        elif found := _HOP.search(message):
            hop = int(found[1])
        elif found := _FREQUENCIES.search(message):
            frequencies = float(found[1]), float(found[2])
    if not windows:
        raise TableError("no line 'time=…, pred=…, prob=…': the log holds no windows (prediction did not finish?)")
    classes = _classes(distribution, windows)
    if "fmin" in data_opts and "fmax" in data_opts:
        frequencies = float(data_opts["fmin"]), float(data_opts["fmax"])
    low_hz, high_hz = frequencies or (None, None)
    rate = data_opts.get("sr")
    dur_s = samples / float(rate) if samples is not None and rate else windows[-1].end_s
    left_s = dur_s - windows[-1].end_s
    return TextLog(
        recording=recording_in(lines),
        classes=classes,
        low_hz=low_hz,
        high_hz=high_hz,
        dur_s=dur_s,
        start_s=np.array([window.start_s for window in windows]),
        end_s=np.array([window.end_s for window in windows]),
        probs=np.array([_probabilities(window, classes) for window in windows]),
        unscored_s=left_s if hop and rate and left_s > hop / float(rate) + _TIME_S else 0.0,
    )


def _messages(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, level and message; a line without a level belongs to the message before it."""
    level = ""
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        prefix = _PREFIX.fullmatch(line)
        if prefix is not None:
            level, line = prefix[1], prefix[2]
        yield number, level, line


def _base_name(path: str) -> str:
    # Logs may come from another machine: a path with backslashes alone is a Windows path.
    windows = "/" not in path and "\\" in path
    return PureWindowsPath(path).name if windows else PurePath(path).name


def _window(message: str, line: int) -> _Window:
    match = _WINDOW.fullmatch(message.rstrip())
    if match is None:
        raise TableError(f"line {line}: {message[:60]!r} is no complete window (expected time=…, pred=…, prob=…)")
    by_class: dict[str, float] | None = None if match["class"] is None else {}
    try:
        return _Window(line, float(match["start"]), float(match["end"]), float(match["p"]), by_class)
    except ValueError:
        raise TableError(f"line {line}: {message[:60]!r}: start or end is not a number") from None


def _collect(text: str, window: _Window) -> bool:
    """Add a line's ``NAME=P;`` to its window; tell whether more of them may follow."""
    if window.by_class is None or (text.strip() and not _CLASS_PROBABILITY.match(text)):
        return False
    window.by_class.update((name, float(p)) for name, p in _CLASS_PROBABILITY.findall(text))
    return True


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return None  # a header some program wrote differently; what is missed is noted where it is needed


def _classes(distribution: Any, windows: Sequence[_Window]) -> tuple[str, ...]:
    by_class = windows[0].by_class
    found = TWO_CLASSES if by_class is None else tuple(by_class)
    if not isinstance(distribution, Mapping) or not all(isinstance(index, int) for index in distribution.values()):
        return found
    by_index = {index: str(name) for name, index in distribution.items()}
    fits = len(distribution) == len(TWO_CLASSES) if by_class is None else set(distribution) == set(by_class)
    if not fits or set(by_index) != set(range(len(distribution))):
        return found
    return tuple(by_index[index] for index in range(len(by_index)))


def _probabilities(window: _Window, classes: Sequence[str]) -> list[float]:
    if window.by_class is None and len(classes) == len(TWO_CLASSES):
        return [1 - window.p, window.p]  # the log carries the probability of class 1
    given = window.by_class or {}
    if set(given) != set(classes):
        listed = ", ".join(given) or "none"
        raise TableError(
            f"line {window.line}: the window at {window.start_s} s needs a probability for each of "
            f"{', '.join(classes)}; found: {listed} (output_layer lines cut off?)"
        )
    return [given[name] for name in classes]
