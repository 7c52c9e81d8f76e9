"""The file name grammar: the only place that parses the name of a recording, clip, hum or dataset clip.

::

    raw recording   387_20201207_cut.wav                                  <animal>_<YYYYMMDD>[_<tag>]_cut.wav
    labelled clip   387_20201207_cut.wav_900_1800.wav                     <raw>_<start s>_<end s>.wav
    hum             387_20201207_cut.wav_900_1800.wav_12.3_13.1Q2.wav     <clip>_<start s>_<end s>Q<quality>.wav
    dataset clip    target-Q2_000001_2020_387-20201207-cut_0012345_0013210.wav

A *tape* is the raw recording's full name, composed (Unicode form NFC): tapes are compared, files are not looked for by
it. Any other file name is a tape of its own that starts at 0 s.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from hum_shared.errors import NameFormatError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
UNKNOWN_ANIMAL = "UNKN"
UNKNOWN_YEAR = "0000"

_SUFFIX = r"\.(?:wav|flac|ogg|mp3|aiff?)"
_FLAGS = re.IGNORECASE | re.DOTALL
_SECONDS = r"[0-9]+(?:\.[0-9]+)?"
_AFTERTHOUGHT = r"(?:_[^\W\d_][^\W_]*)*(?: ?\(\d+\))?"  # `_word` and ` (n)`, as people and file managers append them
_RAW = re.compile(rf"(?P<animal>.+?)_(?P<date>[0-9]{{8}})(?:_(?P<tag>.+))?_cut{_SUFFIX}", _FLAGS)
_CLIP = re.compile(
    rf"(?P<raw>.+{_SUFFIX})_(?P<start>{_SECONDS})_(?P<end>{_SECONDS}){_AFTERTHOUGHT}(?P<suffix>{_SUFFIX})", _FLAGS
)
_DATED_CLIP = re.compile(
    rf"(?:(?P<animal>.+?)_)?(?P<date>[0-9]{{8}})_(?P<time>[0-9]{{6}})(?:{_AFTERTHOUGHT}|(?P<note> .+)){_SUFFIX}", _FLAGS
)
_HUM = re.compile(
    rf"(?P<clip>.+{_SUFFIX})_(?P<start>{_SECONDS})_(?P<end>{_SECONDS})"
    rf"(?:_hw?)?_?[Qq](?P<quality>[0-9]){_AFTERTHOUGHT}{_SUFFIX}",
    _FLAGS,
)
_CLOCK = re.compile(  # 20240507_205900, 2024-05-07T20-59-00, 20240507 205900
    r"(?<![0-9])((?:19[7-9]|20[0-9])[0-9])([-_]?)([0-9]{2})\2([0-9]{2})"
    r"[ _T-]([0-9]{2})([-_.]?)([0-9]{2})\6([0-9]{2})(?![0-9])"
)
_DATASET_CLIP = re.compile(
    r"(?P<class>[^-]+)-(?P<label>.+?)_(?P<id>[0-9]+)_(?P<year>[0-9]{4})"
    r"_(?P<tape>[^_]*)_(?P<start>[0-9]+)_(?P<end>[0-9]+)\.wav",
    _FLAGS,
)


@dataclass(frozen=True)
class RecordingName:
    """What the name of a recording file (a tape or a clip of one) says.

    Attributes
    ----------
    name
        The file's full name: the recording's identity.
    tape
        The raw recording's full name, composed; that of the file itself unless this is a clip.
    offset_s
        Where the recording starts on its tape, in seconds; 0 for a tape.
    end_s
        Where a clip ends on its tape, in seconds; None when the name does not say.
    animal, year
        From the tape's name; ``UNKN`` and ``0000`` when it carries none.
    """

    name: str
    tape: str
    offset_s: float
    end_s: float | None
    animal: str
    year: str

    @property
    def follows_grammar(self) -> bool:
        """Whether animal and date could be read from the tape's name."""
        return self.year != UNKNOWN_YEAR


@dataclass(frozen=True)
class HumName:
    """What the name of a cut-out hum says: its clip's name, seconds within that clip, and quality."""

    clip: str
    start_s: float
    end_s: float
    quality: int


@dataclass(frozen=True)
class DatasetClipName:
    """What the name of a training clip says; `tape_key` is the tape's stem with ``_`` as ``-``."""

    class_name: str
    label: str
    number: int
    year: str
    tape_key: str
    start_ms: int
    end_ms: int


def parse_recording(name: str) -> RecordingName:
    """Read a recording's file name; every name is accepted, unknown ones are tapes of their own.

    Parameters
    ----------
    name
        A file name (folders before it are ignored).

    Raises
    ------
    NameFormatError
        When a clip's end is not after its start, or the name is not UTF-8 (from a disk of another system),
        so that no table or index could hold it.
    """
    name = PurePath(name).name
    if not _is_text(name):
        raise NameFormatError(f"{name.encode(errors='surrogateescape')!r}: not UTF-8 text. Rename the file.")
    clip = _CLIP.fullmatch(name)
    if clip is None:
        animal, year = _animal_and_year(name)
        return RecordingName(name, composed(name), 0.0, None, animal, year)
    start_s, end_s = float(clip["start"]), float(clip["end"])
    if end_s <= start_s:
        raise NameFormatError(f"{name}: the clip ends at {clip['end']} s, not after its start {clip['start']} s")
    animal, year = _animal_and_year(clip["raw"])
    return RecordingName(name, composed(clip["raw"]), start_s, end_s, animal, year)


def tape_start(name: str) -> datetime | None:
    """Return when the tape of a recording starts by the recorder's clock, as its name says.

    Parameters
    ----------
    name
        A recording's file name; a clip's tells when its tape starts, not when the clip does.

    Returns
    -------
    datetime or None
        Without time zone. From the first ``<YYYYMMDD>_<HHMMSS>`` in the tape's name that is a date and a time, also
        with ``T``, ``-`` or a blank between, or as ``<YYYY-MM-DD>_<HH-MM-SS>``; None where there is none.
    """
    for year, _, month, day, hour, _, minute, second in _CLOCK.findall(parse_recording(name).tape):
        try:
            return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
        except ValueError:
            continue  # digits that are no date
    return None


def format_clip(tape: str, start_s: float, end_s: float) -> str:
    """Return the name of the clip of `tape` from `start_s` to `end_s` (seconds of tape time)."""
    return f"{tape}_{format_seconds(start_s)}_{format_seconds(end_s)}.wav"


def canonical_clip(name: str, dur_s: float) -> str:
    """Return the grammar's name of a labelled clip that is `dur_s` seconds long.

    The known variant ``[<animal>_]<YYYYMMDD>_<HHMMSS>[ note].wav`` becomes the clip of a tape that starts with it,
    ``<animal>_<YYYYMMDD>_<HHMMSS>[ note]_cut.wav_0_<dur s>.wav``. A clip's name loses what is appended to it
    (``_word``, `` (n)``). Every other name is returned as it is. A suffix other than ``.wav`` stays what it is.
    """
    name = PurePath(name).name
    clip = _CLIP.fullmatch(name)
    if clip is not None:
        return name[: clip.end("end")] + clip["suffix"]
    match = None if _RAW.fullmatch(name) else _DATED_CLIP.fullmatch(name)
    if match is None:
        return name
    animal = match["animal"] or UNKNOWN_ANIMAL
    suffix = PurePath(name).suffix
    tape = f"{animal}_{match['date']}_{match['time']}{match['note'] or ''}_cut{suffix}"
    return format_clip(tape, 0.0, dur_s).removesuffix(".wav") + suffix


def parse_hum(name: str) -> HumName:
    """Read the file name of a cut-out hum, in its canonical form or a known variant.

    Raises
    ------
    NameFormatError
        When the name is no hum's, or its end is not after its start.
    """
    name = PurePath(name).name
    match = _HUM.fullmatch(name)
    if match is None:
        raise NameFormatError(f"{name}: not a hum's name; expected <clip name>_<start s>_<end s>Q<quality>.wav")
    start_s, end_s = float(match["start"]), float(match["end"])
    if end_s <= start_s:
        raise NameFormatError(f"{name}: the hum ends at {match['end']} s, not after its start {match['start']} s")
    return HumName(match["clip"], start_s, end_s, int(match["quality"]))


def format_hum(hum: HumName) -> str:
    """Return the canonical file name of a hum; `parse_hum` of it gives `hum` back."""
    return f"{hum.clip}_{format_seconds(hum.start_s)}_{format_seconds(hum.end_s)}Q{hum.quality}.wav"


def canonical_hum(name: str, clip: str | None = None) -> str:
    """Return the grammar's name of a cut-out hum; a suffix other than ``.wav`` stays what it is.

    Parameters
    ----------
    clip
        Full file name of its clip, where that is another one than `name` says.

    Raises
    ------
    NameFormatError
        When the name is no hum's.
    """
    name = PurePath(name).name
    hum = parse_hum(name)
    if clip in (None, hum.clip) and re.fullmatch(
        rf".+(?i:{_SUFFIX})_{_SECONDS}_{_SECONDS}Q[0-9](?i:{_SUFFIX})", name, re.S
    ):
        return name
    return format_hum(replace(hum, clip=clip or hum.clip)).removesuffix(".wav") + PurePath(name).suffix


def parse_dataset_clip(name: str) -> DatasetClipName:
    """Read the file name of a training clip.

    Raises
    ------
    NameFormatError
        When the name does not follow ``<class>-<label>_<id>_<year>_<tape>_<start ms>_<end ms>.wav``.
    """
    name = PurePath(name).name
    match = _DATASET_CLIP.fullmatch(name)
    if match is None:
        raise NameFormatError(
            f"{name}: not a dataset clip's name; expected <class>-<label>_<id>_<year>_<tape>_<start ms>_<end ms>.wav"
        )
    number, start_ms, end_ms = (int(match[part]) for part in ("id", "start", "end"))
    return DatasetClipName(match["class"], match["label"], number, match["year"], match["tape"], start_ms, end_ms)


def format_dataset_clip(clip: DatasetClipName) -> str:
    """Return the file name of a training clip; `parse_dataset_clip` of it gives `clip` back."""
    return (
        f"{clip.class_name}-{clip.label}_{clip.number:06d}_{clip.year}_{clip.tape_key}"
        f"_{clip.start_ms:07d}_{clip.end_ms:07d}.wav"
    )


def tape_key(tape: str) -> str:
    """Return a tape's name as dataset clips carry it: composed, without suffix, ``_`` as ``-``."""
    return re.sub(rf"{_SUFFIX}\Z", "", composed(tape), flags=re.I).replace("_", "-")


def class_of(dataset_clip: str) -> str:
    """Return the class of a training clip: the text before the first ``-``.

    Raises
    ------
    NameFormatError
        When there is no ``-``.
    """
    name = PurePath(dataset_clip).name
    class_name, dash, _ = name.partition("-")
    if not dash or not class_name:
        raise NameFormatError(f"{name}: carries no class; expected <class>-<label>_….wav")
    return class_name


def composed(name: str) -> str:
    """Return a name by which to compare it with others: an `ä` of one character or of two is one and the same.

    Names come as two where files have travelled through a Mac or some archives (Unicode forms NFD and NFC).
    """
    return unicodedata.normalize("NFC", name)


def recording_stem(name: str) -> str:
    """Return a recording's full name without its audio suffix (and nothing else: dots stay)."""
    return re.sub(rf"{_SUFFIX}\Z", "", PurePath(name).name, flags=re.I)


def is_audio(name: str) -> bool:
    """Whether a file name ends in a suffix that is read as audio, in any case."""
    return PurePath(name).suffix.lower() in AUDIO_SUFFIXES


def format_seconds(seconds: float) -> str:
    """Return seconds as they stand in names: up to six decimals, no trailing zeros, never an exponent."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def shown(name: str) -> str:
    """Return a file name as text that can be written; what is not UTF-8 in it is replaced."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _animal_and_year(tape: str) -> tuple[str, str]:
    match = _RAW.fullmatch(tape) or _DATED_CLIP.fullmatch(tape)
    if match is None:
        return UNKNOWN_ANIMAL, UNKNOWN_YEAR
    return match["animal"] or UNKNOWN_ANIMAL, match["date"][:4]
