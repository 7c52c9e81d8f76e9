"""Which recordings a benchmark scores: the folder of labelled clips, or what `--predict-in` names."""

from __future__ import annotations

from pathlib import Path

from hum_shared.errors import InputError
from hum_shared.recordings import find_recordings

_LABELLED = "labelled_recordings"


def labelled_recordings(corpus: Path) -> Path:
    """Return the one folder of a corpus whose name contains `labelled_recordings`.

    Raises
    ------
    InputError
        When there is none, or more than one.
    """
    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such corpus folder")
    found = sorted(folder for folder in corpus.iterdir() if folder.is_dir() and _LABELLED in folder.name)
    if len(found) != 1:
        listed = ", ".join(folder.name for folder in found) or "none"
        raise InputError(
            f"{corpus}: expected one folder whose name contains {_LABELLED}; found: {listed}. "
            "Name the recordings with --predict-in."
        )
    return found[0]


def existing_recordings(predict_in: Path | None, *, recursive: bool = False) -> Path | None:
    """Return `predict_in` (a recording, a folder or a glob), or None for None.

    Raises
    ------
    InputError
        When there is no recording, or two would share a score track.
    """
    if predict_in is not None:
        find_recordings(predict_in, recursive=recursive, remedy="Correct --predict-in, or add --recursive.")
    return predict_in
