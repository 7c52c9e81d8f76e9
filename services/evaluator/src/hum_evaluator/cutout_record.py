"""What cutouts were made from: so that a re-run knows which are current, and which belong to nothing any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.command import warn
from hum_shared.errors import HumError, InputError
from hum_shared.files import read_json, sha256_file, write_json


class _State(BaseModel):
    model_config = ConfigDict(frozen=True)

    size: int
    modified_ns: int
    sha256: str


class _Content(BaseModel):
    schema_version: int = 1
    folder: str
    recordings: dict[str, _State] = Field(default_factory=dict)
    cutouts: list[str] = Field(default_factory=list)


class CutoutRecord:
    """The recordings and files of one run's cutouts.

    Parameters
    ----------
    path
        Where it is kept. A missing or damaged file, or one of cutouts in another folder, is an empty record: everything
        is cut again.
    folder
        Where the cutouts lie.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, str(folder.absolute())
        self._before = _Content(folder=self._folder)
        with contextlib.suppress(InputError, ValidationError):
            found = _Content.model_validate(read_json(path)) if path.exists() else self._before
            self._before = found if found.folder == self._folder else self._before
        self._recordings: dict[str, _State] = {}

    def is_cut_from(self, recording: str, source: Path) -> bool:
        """Whether the cutouts of a recording were made from this very file; the digest is only computed in doubt."""
        stat, known = source.stat(), self._before.recordings.get(recording)
        if known is not None and (known.size, known.modified_ns) == (stat.st_size, stat.st_mtime_ns):
            self._recordings[recording] = known
            return True
        found = _State(size=stat.st_size, modified_ns=stat.st_mtime_ns, sha256=sha256_file(source))
        self._recordings[recording] = found
        return known is not None and known.sha256 == found.sha256

    def forget(self, recording: str) -> None:
        """Leave a recording out whose cutouts could not all be made."""
        self._recordings.pop(recording, None)

    def obsolete(self, wanted: Iterable[str]) -> list[str]:
        """Return the names of files that were cut before and are not wanted any more."""
        return sorted({*self._before.cutouts} - {*wanted})

    def write(self, wanted: Iterable[str], *, complete: bool) -> None:
        """Keep what is known now, atomically; when not `complete`, files of earlier runs are still to be removed.

        Where the run may only be read, as with cutouts in a folder of one's own, a warning says what that costs.
        """
        cutouts = {*wanted} if complete else {*wanted, *self._before.cutouts}
        content = _Content(folder=self._folder, recordings=self._recordings, cutouts=sorted(cutouts))
        if content != self._before:
            try:
                write_json(self._path, content.model_dump(mode="json"))
            except (OSError, HumError) as error:
                warn(f"{self._path}: cannot be written ({error}); another run would cut everything again")
