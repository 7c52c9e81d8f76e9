"""The folders and files of a corpus on disk: which there are and what their headers say."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import AudioError, InputError
from hum_shared.files import sha256_file
from hum_shared.layout import LABELLED, RAW, SEGMENTED
from hum_shared.recordings import corpus_folder, files_below
from hum_shared.words import listed

Tick = Callable[[], None]
"""Called once per file that was looked at."""
_NAMED = 10  # broken recordings, in a message


@dataclass(frozen=True)
class CorpusFolders:
    """The folders of a corpus; each is None where the corpus has none."""

    root: Path
    labelled: Path | None
    segmented: Path | None
    raw: Path | None


@dataclass(frozen=True)
class Recording:
    """A recording of the corpus, raw or a labelled clip.

    Attributes
    ----------
    path
        Relative to the corpus, with ``/``.
    name
        What its file name says.
    dur_s, sample_rate
        From the file's header.
    sha256
        Digest of the file; None when it was not asked for.
    """

    path: str
    name: names.RecordingName
    dur_s: float
    sample_rate: int
    sha256: str | None = None


def find_folders(root: Path) -> CorpusFolders:
    """Find the one folder of `root` whose name contains each of the three folder names.

    Hidden folders and `dataset_*` are not looked at.

    Raises
    ------
    InputError
        When `root` is no folder, or two folders match.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds {LABELLED}/ and {SEGMENTED}/")
    return CorpusFolders(root, *(corpus_folder(root, part) for part in (LABELLED, SEGMENTED, RAW)))


def needed(folder: Path | None, part: str, root: Path) -> Path:
    """Return `folder`.

    Raises
    ------
    InputError
        When it is None: the corpus has no folder `part`.
    """
    if folder is None:
        remedy = ""
        if part == SEGMENTED:
            remedy = f". For a corpus of selection tables: hum-trainer index-corpus {root} --from-selections"
        raise InputError(f"{root}: no folder whose name contains {part!r}{remedy}")
    return folder


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files in and below `folder`, sorted; linked folders count, what is hidden does not.

    Raises
    ------
    InputError
        When a folder cannot be read.
    """
    return sorted(path for path in files_below(folder) if _is_shown_audio(path))


def audio_files_in(folder: Path) -> list[Path]:
    """Return the audio files in `folder` itself, sorted; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if _is_shown_audio(path))


def _is_shown_audio(path: Path) -> bool:
    return names.is_audio(path.name) and not path.name.startswith(".") and path.is_file()


def read_recordings(root: Path, files: Iterable[Path], *, digests: bool, tick: Tick) -> dict[str, Recording]:
    """Read the headers of recordings; samples are only read where digests are asked for.

    Returns
    -------
    dict
        Full file name → recording, in the order given.

    Raises
    ------
    InputError
        When two files share their full name (which is a recording's identity).
    AudioError
        When files are empty, truncated or not audio; names the first ten.
    """
    found: dict[str, Recording] = {}
    broken: list[str] = []
    for path in files:
        relative = path.relative_to(root).as_posix()
        if path.name in found:
            raise InputError(f"{root}: {found[path.name].path} and {relative} have the same name. Remove one.")
        try:
            info = probe(path)
        except AudioError as error:
            broken.append(str(error))
            continue
        digest = sha256_file(path) if digests and not broken else None
        found[path.name] = Recording(relative, names.parse_recording(path.name), info.dur_s, info.sample_rate, digest)
        tick()
    if broken:
        count = f"{root}: {len(broken)} recordings cannot be read: " if len(broken) > 1 else ""
        raise AudioError(count + listed(broken, _NAMED, "; "))
    return found


def clip_finder(durations: Mapping[str, float]) -> Callable[[str], str | None]:
    """Return what finds a hum's clip by the name that the hum gives it.

    That is the clip of exactly this name, else the only one whose name is read as the same: either may be a known
    variant. None where there is no such clip, or more than one.

    Parameters
    ----------
    durations
        Full file name of each clip → its length in seconds.
    """
    read_as: dict[str, set[str]] = {}
    for name, dur_s in durations.items():
        for known_dur_s in (dur_s, 0.0):  # a variant in a hum's name does not say how long the clip is
            read_as.setdefault(names.canonical_clip(names.composed(name), known_dur_s), set()).add(name)

    def find(name: str) -> str | None:
        if name in durations:
            return name
        found = read_as.get(names.canonical_clip(names.composed(name), 0.0), set())
        return next(iter(found)) if len(found) == 1 else None

    return find


def require_writable(folder: Path, remedy: str = "Give a writable folder: --out DIR") -> None:
    """Make `folder` if it is missing and check that files can be written into it.

    Raises
    ------
    InputError
        When they cannot; ends with `remedy`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}). {remedy}") from None
