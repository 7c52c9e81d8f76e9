"""Predictions of recordings: which score tracks and text logs there are, and reading one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hum_evaluator.text_log import parse_log, recording_in
from hum_shared import names
from hum_shared.decoders import Windows, noise_index
from hum_shared.errors import HumError, InputError, TableError
from hum_shared.files import read_json, read_text
from hum_shared.index import RecordingInfo
from hum_shared.intervals import as_intervals, duration
from hum_shared.layout import LOG_SUFFIX, SCORE_SUFFIX
from hum_shared.scores import read_score_meta, read_score_track
from hum_shared.words import listed

_HEAD_LINES = 200
_ROUNDED_S = 0.001  # times in logs
_GAP_STEPS = 1.5
"""Starts of two windows that are farther apart than this many usual steps have one missing between them."""


@dataclass(frozen=True)
class Source:
    """The file that holds the predictions of one recording."""

    path: Path
    recording: str

    @property
    def is_log(self) -> bool:
        """Whether it is a text log rather than a score track."""
        return self.path.name.endswith(LOG_SUFFIX)


@dataclass(frozen=True)
class Prediction:
    """The predictions of one recording.

    Attributes
    ----------
    recording
        Name, tape, offset, length.
    windows
        Scores.
    classes
        Names in index order.
    low_hz, high_hz
        Frequency limits of the model.
    notes
        What a reader of the tables should know, one line each.
    """

    recording: RecordingInfo
    windows: Windows
    classes: tuple[str, ...]
    low_hz: float
    high_hz: float
    notes: tuple[str, ...] = ()


def find_sources(scores_dir: Path, log_dir: Path) -> tuple[list[Source], dict[str, str]]:
    """Find the predictions of all recordings: score tracks, and text logs of recordings without one.

    Returns
    -------
    sources
        One per recording, sorted by recording.
    failures
        Recording or its stem → reason: files that do not say which recording they belong to, and score tracks of
        recordings that `hum-predictor` has failed to read since.

    Raises
    ------
    InputError
        When there is nothing, or two files would give the table of one recording.
    """
    failures: dict[str, str] = {}
    sources: list[Source] = []
    unreadable = failed_to_score(scores_dir)
    for path in _listed(scores_dir, SCORE_SUFFIX):
        try:
            recording = read_score_meta(path).recording
        except HumError as error:
            failures[path.name.removesuffix(SCORE_SUFFIX)] = str(error)
            continue
        if recording in unreadable:
            failures[recording] = f"scored in an earlier state; prediction failed since: {unreadable[recording]}"
        else:
            sources.append(Source(path, recording))
    scored = {source.recording for source in sources}
    for path in _listed(log_dir, LOG_SUFFIX):
        stem = path.name.removesuffix(LOG_SUFFIX)
        try:
            recording = _recording_of_log(path)
        except HumError as error:
            failures.setdefault(stem, str(error))
            continue
        # A score track wins over the log, also a broken one: what is asked for must not change silently.
        if recording not in scored and names.recording_stem(recording) not in failures:
            sources.append(Source(path, recording))
    if not sources and not failures:
        raise InputError(
            f"no predictions: looked for score tracks (*{SCORE_SUFFIX}) in {_described(scores_dir)} and for text "
            f"logs (*{LOG_SUFFIX}) in {_described(log_dir)}. Run hum-predictor first, or correct "
            "prediction_dir or scores_dir in the cfg."
        )
    _refuse_shared_stems(sources)
    return sorted(sources, key=lambda source: source.recording), failures


def has_logs(folder: Path) -> bool:
    """Whether there is a text log in a folder."""
    return bool(_listed(folder, LOG_SUFFIX))


def failed_to_score(scores_dir: Path) -> dict[str, str]:
    """Return what `hum-predictor` could not read when it ran last: recording → reason."""
    if not scores_dir.is_dir():
        return {}
    failed: dict[str, str] = {}
    for path in sorted(scores_dir.iterdir()):
        if path.match("failures*.json"):
            found = read_json(path)
            if not isinstance(found, dict):
                raise InputError(f"{path}: not what hum-predictor writes (recording: reason). Remove it.")
            failed |= {str(name): str(reason) for name, reason in found.items()}
    return failed


def unsearched(scores_dir: Path, known: Collection[str] = ()) -> list[str]:
    """Return a note of the recordings that could not be scored, beyond those that are `known`: none was searched."""
    lost = sorted(failed_to_score(scores_dir).keys() - set(known))
    if not lost:
        return []
    return [
        f"{len(lost)} recordings could not be scored, and were not searched: {listed(lost)}; "
        f"why, say the failures.json in {scores_dir}"
    ]


def read_prediction(source: Source) -> Prediction:
    """Read the predictions of one recording.

    Raises
    ------
    TableError
        When the file cannot be read, or its windows are not in time order.
    NameFormatError
        When the recording's name contradicts itself.
    """
    return _from_log(source) if source.is_log else _from_track(source)


def _from_track(source: Source) -> Prediction:
    track = read_score_track(source.path)
    meta = track.meta
    classes = tuple(sorted(meta.classes, key=lambda name: meta.classes[name]))
    info = RecordingInfo(
        name=meta.recording,
        tape=names.parse_recording(meta.recording).tape,
        offset_s=meta.clip_offset_s,
        dur_s=round(meta.frames / meta.sample_rate, 6),
        sha256=meta.recording_sha256,
        scored_s=meta.scored_s,
    )
    try:
        low_hz, high_hz = float(meta.front_end["fmin"]), float(meta.front_end["fmax"])
    except (KeyError, TypeError, ValueError):
        raise TableError(f"{source.path}: front_end in its metadata lacks fmin or fmax. Score it again.") from None
    windows = _windows(track.start_s, track.end_s, track.probs.astype(np.float64), classes, source.path, track.centre_s)
    if info.scored_s is None:
        return Prediction(info, windows, classes, low_hz, high_hz)
    scored_s = duration(as_intervals(info.scored_s))
    note = f"{info.name}: only {scored_s:.0f} s of {info.dur_s:.0f} s were scored; nothing is found elsewhere"
    return Prediction(info, windows, classes, low_hz, high_hz, (note,))


def _from_log(source: Source) -> Prediction:
    try:
        log = parse_log(read_text(source.path).split("\n"))
    except TableError as error:
        raise TableError(f"{source.path}: {error}") from None
    notes = []
    if log.recording is None:
        notes.append(f"{source.path.name} does not name its recording; {source.recording} is assumed")
    if log.low_hz is None or log.high_hz is None:
        notes.append(f"{source.path.name} does not name the model's fmin and fmax; its table says 0 Hz to 0 Hz")
    if log.unscored_s:
        notes.append(
            f"{source.path.name}: its windows end {log.unscored_s:g} s before the recording does: prediction did not "
            "finish, or the log was cut off. What is missing counts as searched; predict again"
        )
    apart_s = np.diff(log.start_s)
    if len(apart_s) and apart_s.max() > _GAP_STEPS * np.median(apart_s) + _ROUNDED_S:
        first = int(np.argmax(apart_s))
        notes.append(
            f"{source.path.name}: windows are missing between {log.start_s[first]:g} and {log.start_s[first + 1]:g} s. "
            "Only the decoder union reads such a log rightly; predict again"
        )
    parsed = names.parse_recording(source.recording)
    info = RecordingInfo(
        name=source.recording, tape=parsed.tape, offset_s=parsed.offset_s, dur_s=round(log.dur_s, 6), sha256=None
    )
    windows = _windows(log.start_s, log.end_s, log.probs, log.classes, source.path)
    return Prediction(info, windows, log.classes, log.low_hz or 0.0, log.high_hz or 0.0, tuple(notes))


def _windows(
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    probs: NDArray[np.float64],
    classes: tuple[str, ...],
    path: Path,
    centre_s: NDArray[np.float64] | None = None,
) -> Windows:
    try:
        return Windows(start_s, end_s, probs, noise_index(classes), centre_s)
    except ValueError as error:
        raise TableError(f"{path}: {error}") from None


def _recording_of_log(path: Path) -> str:
    """Return the recording's name: from the log's first lines, else from the log's own name."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            named = recording_in(islice(file, _HEAD_LINES))
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: not readable as a text log ({error})") from None
    return named or path.name.removesuffix(LOG_SUFFIX) + ".wav"


def _listed(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    # Hidden ones are not ours: macOS leaves "._…" beside what it copies.
    found = (path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def _described(folder: Path) -> str:
    return str(folder) if folder.is_dir() else f"{folder} (no such folder)"


def _refuse_shared_stems(sources: Iterable[Source]) -> None:
    by_stem: dict[str, Source] = {}
    for source in sources:
        stem = names.recording_stem(source.recording)
        other = by_stem.setdefault(stem, source)
        if other is not source:
            raise InputError(
                f"{other.path} ({other.recording}) and {source.path} ({source.recording}) would give one table: "
                f"both recordings are called {stem}. Rename one recording and predict it again."
            )
