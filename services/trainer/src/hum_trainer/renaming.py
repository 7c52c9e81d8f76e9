"""Giving files whose names are known variants the names of the grammar; only done on request."""

from __future__ import annotations

from pathlib import Path

from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import InputError, NameFormatError
from hum_shared.layout import LABELLED, SEGMENTED
from hum_trainer.corpus import audio_files, clip_finder, find_folders, needed, require_writable
from hum_trainer.owners import Owners
from hum_trainer.raven_labels import table_files


def plan_renames(root: Path) -> list[tuple[Path, Path]]:
    """Return (old path, new path) of every file of the corpus whose name is a known variant.

    A hum follows its clip, and so do a raw recording whose name is the old clip's, and a selection table.

    Raises
    ------
    InputError
        When two files would get one name, or a file with the new name is there already; names both.
    """
    folders = find_folders(root)
    renames: list[tuple[Path, Path]] = []
    durations = {path: probe(path).dur_s for path in audio_files(needed(folders.labelled, LABELLED, root))}
    clips = {path: names.canonical_clip(path.name, dur_s) for path, dur_s in durations.items()}
    new_clips = {path.name: new for path, new in clips.items()}
    find = clip_finder({path.name: dur_s for path, dur_s in durations.items()})
    for path in audio_files(needed(folders.segmented, SEGMENTED, root)):
        try:
            clip = names.parse_hum(path.name).clip
        except NameFormatError:
            continue  # indexing reports it
        renames.append((path, path.with_name(names.canonical_hum(path.name, new_clips.get(find(clip) or clip)))))
    for path in audio_files(folders.raw) if folders.raw else []:
        tape = names.parse_recording(new_clips.get(path.name, path.name)).tape
        if names.composed(path.name) != tape:
            renames.append((path, path.with_name(tape)))
    owners = Owners(new_clips)
    for path in table_files(root):
        owner = owners.of_table(path.name)
        if owner is not None and new_clips[owner] != owner:
            rest = names.composed(path.name).removeprefix(names.composed(names.recording_stem(owner)))
            renames.append((path, path.with_name(names.recording_stem(new_clips[owner]) + rest)))
    # Clips last: what is still to be renamed after an interrupt is known by their old names.
    renames += [(path, path.with_name(new)) for path, new in clips.items()]
    renames = [(old, new) for old, new in renames if old != new]
    taken: dict[Path, Path] = {}
    for old, new in renames:
        other = taken.setdefault(new, old)
        if other != old or new.exists():
            rival = other if other != old else new
            raise InputError(f"{root}: {old.name} and {rival.name} would both be named {new.name}. Remove one.")
    return renames


def rename(renames: list[tuple[Path, Path]]) -> None:
    """Rename the files; the folders are checked first, so that a read-only corpus stays whole.

    Raises
    ------
    InputError
        When a folder cannot be written.
    """
    for folder in sorted({old.parent for old, _ in renames}):
        require_writable(folder, "Leave out --rename, or work on a copy.")
    for old, new in renames:
        old.rename(new)
