"""Training clips: which there are, what class each is, and their audio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hum_shared import names
from hum_shared.audio import Samples, probe, read_mono, resample
from hum_shared.command import warn
from hum_shared.errors import AudioError, InputError, NameFormatError
from hum_shared.files import read_text, sha256_file, sha256_json
from hum_shared.index import VariantIndex, read_index
from hum_shared.layout import VARIANT_INDEX

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
TARGET = "target"
_NOISE_DIR = "noise_dir"  # beside the parts, on the card


@dataclass(frozen=True)
class Clip:
    """One clip of a dataset and its class."""

    path: Path
    class_name: str


def read_part(data_dir: Path, part: Part) -> list[Clip]:
    """Return the clips that ``<part>.csv`` of a dataset lists, in its order.

    Raises
    ------
    InputError
        When the list is missing or empty, or names a file that is not there or carries no class.
    """
    listing = data_dir / f"{part}.csv"
    file_names = [line.strip() for line in read_text(listing).splitlines() if line.strip()]
    if not file_names:
        raise InputError(f"{listing}: lists no clips; training needs some in every part")
    try:
        clips = [Clip(data_dir / name, names.class_of(name)) for name in file_names]
    except NameFormatError as error:
        raise InputError(f"{listing}: {error}") from None
    missing = [clip.path.name for clip in clips if not clip.path.is_file()]
    if missing:
        raise InputError(f"{listing}: {len(missing)} of {len(clips)} clips are missing, first {missing[0]}")
    return clips


def read_noise(folder: Path) -> list[Clip]:
    """Return the recordings in a folder of noise to mix in, sorted by name.

    Raises
    ------
    InputError
        When it is no folder or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: noise_dir is no folder")
    found = [Clip(path, "noise") for path in sorted(folder.iterdir()) if names.is_audio(path.name)]
    if not found:
        raise InputError(f"{folder}: noise_dir holds no recordings")
    return found


def training_sources(
    data_dir: Path, clips: Mapping[Part, Sequence[Clip]], noise: Sequence[Clip]
) -> dict[str, dict[str, Any]]:
    """Return what a model's card says of all that its training hears, clips and `noise`, for leakage to be seen.

    Returns
    -------
    dict
        `tapes`: part → names; `recordings`: part → recording → digest, None where it is not known. There is no
        `recordings` where the dataset does not say it of all its clips: without an index of ours, or with clips added
        by hand.
    """
    tapes = {str(part): sorted({tape_of(clip) for clip in clips[part]}) for part in PARTS}
    if noise:
        tapes[_NOISE_DIR] = sorted({_tape_of_recording(clip.path.name) for clip in noise})
    recordings = _recordings_of(data_dir, clips)
    if recordings is None:
        return {"tapes": tapes}
    if noise:
        recordings[_NOISE_DIR] = {clip.path.name: sha256_file(clip.path) for clip in noise}
    return {"tapes": tapes, "recordings": recordings}


def _recordings_of(data_dir: Path, clips: Mapping[Part, Sequence[Clip]]) -> dict[str, dict[str, str | None]] | None:
    index_file = data_dir / VARIANT_INDEX
    if not index_file.is_file():
        return None
    try:
        index = read_index(index_file, VariantIndex)
    except InputError as error:  # training itself does not need it
        warn(f"{error}; the model's card will not say which recordings it learnt from")
        return None
    if {clip.path.name for part in PARTS for clip in clips[part]} - {entry.fn for entry in index.entries}:
        return None
    return None if index.meta.recordings is None else dict(index.meta.recordings)


def _tape_of_recording(name: str) -> str:
    try:
        return names.parse_recording(name).tape
    except NameFormatError:  # a clip that ends before it starts
        return name


def tape_of(clip: Clip) -> str:
    """Return the tape that a dataset clip's name carries; clips of foreign names are tapes of their own."""
    try:
        return names.parse_dataset_clip(clip.path.name).tape_key
    except NameFormatError:
        return clip.path.name


def clips_digest(clips: Mapping[Part, Sequence[Clip]]) -> str:
    """Return the SHA-256 of what a dataset holds: names, content and order of the clips of each part."""
    return sha256_json({part: [[clip.path.name, sha256_file(clip.path)] for clip in clips[part]] for part in PARTS})


def class_indices(clips: Sequence[Clip], num_classes: int, folder: Path) -> dict[str, int]:
    """Return class name → index: with two classes `target` is 1, else in alphabetical order.

    Raises
    ------
    InputError
        When the classes found are not `num_classes` many, or two without `target`; names the dataset's `folder` and
        lists what was found.
    """
    counts = Counter(clip.class_name for clip in clips)
    found = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    if len(counts) == 1:
        raise InputError(f"{folder}: all clips are of one class, {found}; a network needs two. Add clips of another.")
    if len(counts) != num_classes:
        raise InputError(
            f"{folder}: num_classes={num_classes}, but the clips are of {len(counts)} classes: {found}. Set "
            f"num_classes={len(counts)}, or correct the clips' names."
        )
    if num_classes == 2:
        if TARGET not in counts:
            raise InputError(
                f"{folder}: of two classes one must be called {TARGET!r}; found: {found}. Rename its clips."
            )
        other = next(name for name in counts if name != TARGET)
        return {other: 0, TARGET: 1}
    return {name: index for index, name in enumerate(sorted(counts))}


def read_clip(path: Path, sample_rate: int) -> Samples:
    """Return a clip's audio, channels averaged, at `sample_rate`; shape (n,), n ≥ 1.

    Raises
    ------
    AudioError
        When it cannot be read, is too short, or holds NaN or infinite samples.
    """
    info = probe(path)
    audio = resample(read_mono(path), info.sample_rate, sample_rate)
    if audio.size == 0:
        raise AudioError(f"{path}: {info.frames} samples are too few to resample to {sample_rate} Hz")
    if not np.isfinite(audio).all():
        raise AudioError(f"{path}: holds NaN or infinite samples")
    return audio
