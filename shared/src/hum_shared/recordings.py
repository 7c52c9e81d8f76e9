"""The recordings below a folder, found by name, and the folder that a cfg's `input_file` means."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from hum_shared import layout, names
from hum_shared.errors import AudioError, InputError

_WILDCARDS = frozenset("*?[")
_OF_THE_DISK = frozenset({"lost+found", "System Volume Information", "$RECYCLE.BIN"})


class RecordingFolder:
    """The recordings below a folder.

    Parameters
    ----------
    folder
        Searched with its sub-folders, also linked ones, but no hidden ones.

    Raises
    ------
    InputError
        When it is not a folder.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; it should be the folder of the recordings")
        self.folder = folder
        self._files: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(folder):
            if names.is_audio(path.name):
                self._files[names.composed(names.recording_stem(path.name))].append(path)

    def find(self, stem: str, full_name: str | None = None) -> Path:
        """Return the one recording of this name.

        Parameters
        ----------
        stem
            The recording's name without its audio suffix, as annotation tables carry it, or with it, as tables of
            other origin do. Compared as a whole, never as a prefix.
        full_name
            The recording's full name, where it is known.

        Raises
        ------
        AudioError
            When there is none or more than one; names them.
        """
        wanted = names.composed(stem)
        named = self._files.get(wanted)
        if named is None:
            named = self._files.get(names.recording_stem(wanted), [])
            named = [path for path in named if names.composed(path.name) == wanted]
        found = [path for path in named if full_name is None or names.composed(path.name) == names.composed(full_name)]
        if len(found) == 1:
            return found[0]
        wanted = full_name or f"{stem}.{{{','.join(suffix[1:] for suffix in names.AUDIO_SUFFIXES)}}}"
        if not found:
            raise AudioError(f"{self.folder}: no recording {wanted}. Point to the folder that was predicted on.")
        listed = ", ".join(sorted(map(str, found)))
        raise AudioError(f"{wanted}: {len(found)} recordings have this name: {listed}. Keep one of them.")


def find_recordings(source: Path, *, recursive: bool, remedy: str = "Check input_file.") -> list[Path]:
    """Return the recordings that a recording, a folder or a glob means, sorted by name.

    Parameters
    ----------
    source
        A recording (whatever its suffix), a folder, or a glob. An existing path is taken literally, also
        when its name holds ``*`` or ``[``; so are the folders of a glob that exist. Hidden files are left out;
        links that lead nowhere are not, so that they are reported.
    recursive
        Look into sub-folders as well, also linked ones, but no hidden ones, as the trash of a memory card.
    remedy
        What to say where nothing is found.

    Raises
    ------
    InputError
        When nothing is found (says where and for what), or two recordings would share a score track.
    """
    if source.is_file():
        return [source]
    if source.is_dir():
        found = files_below(source) if recursive else source.iterdir()
        looked_for = f"{'/'.join(names.AUDIO_SUFFIXES)} files" + (" in it and below" if recursive else " in it")
    else:
        folder = next(parent for parent in source.absolute().parents if parent.exists())
        pattern = glob.escape(str(folder)) + "/" + str(source.absolute().relative_to(folder))
        found = (Path(path) for path in glob.glob(pattern, recursive=recursive))  # noqa: PTH207 (absolute pattern)
        looked_for = f"{'/'.join(names.AUDIO_SUFFIXES)} files that match"
    recordings = sorted(path for path in found if _is_recording(path))
    if not recordings:
        missing = "" if source.exists() or glob.has_magic(str(source)) else " (no such file or folder)"
        raise InputError(f"{source}: found no {looked_for}{missing}. {remedy}")
    refuse_shared_tracks(recordings, "Rename one, or score their folders apart (two sets).")
    return recordings


def corpus_folder(root: Path, part: str) -> Path | None:
    """Return the one folder of a corpus whose name contains `part`; None where there is none.

    Hidden folders and `dataset_*` are not looked at.

    Raises
    ------
    InputError
        When two folders match.
    """
    found = sorted(
        path
        for path in root.iterdir()
        if part in path.name and path.is_dir() and not path.name.startswith((".", layout.DATASET_PREFIX))
    )
    if len(found) > 1:
        listed = " and ".join(path.name for path in found)
        raise InputError(f"{root}: {listed} both contain {part!r} in their names; only one may. Rename or move one.")
    return found[0] if found else None


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of its sub-folders that are not hidden; linked ones count, each once.

    What file systems keep at the root of a disk counts as hidden.

    Raises
    ------
    InputError
        When a folder cannot be read: what lies in it would be missing without a word.
    """
    seen: set[str] = set()
    for parent, below, files in os.walk(folder, followlinks=True, onerror=_refuse):
        if (real := os.path.realpath(parent)) in seen:
            below.clear()  # a link back up, or a second one to the same folder
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _OF_THE_DISK)
        yield from (Path(parent, name) for name in files)


def _refuse(error: OSError) -> None:
    raise InputError(
        f"{error.filename}: cannot be looked into ({error.strerror}). Make it readable, or hide it: .name"
    ) from None


def _is_recording(path: Path) -> bool:
    return names.is_audio(path.name) and not path.name.startswith(".") and not path.is_dir()


def refuse_shared_tracks(recordings: Iterable[Path], remedy: str = "Rename one.") -> None:
    """Check that every recording would have a score track of its own.

    Raises
    ------
    InputError
        When two recordings share their name but for the suffix (``a.wav``, ``a.flac``; twins in two folders); names
        both and ends with `remedy`.
    """
    first: dict[str, Path] = {}
    for path in recordings:
        stem = names.recording_stem(path.name)
        other = first.setdefault(stem, path)
        if other != path:
            raise InputError(f"{other} and {path} would share the score track {stem}{layout.SCORE_SUFFIX}. {remedy}")


def recordings_folder(predict_in: Path) -> Path:
    """Return the folder that holds what `predict_in` (a recording, a folder or a glob) names."""
    if predict_in.is_dir():
        return predict_in
    return glob_folder(predict_in) or predict_in.parent


def glob_folder(pattern: Path) -> Path | None:
    """Return the last folder before the first wildcard; None where there is none.

    A name that exists is taken as it stands, whatever characters it holds.
    """
    for path in [*reversed(pattern.parents), pattern]:
        if _WILDCARDS & set(path.name) and not path.exists():
            return path.parent
    return None
