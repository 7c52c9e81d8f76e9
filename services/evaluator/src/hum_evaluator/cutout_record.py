"""What cutouts were made from: so that a re-run knows which are current, and which belong to nothing any more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.command import warn
from hum_shared.errors import HumError, InputError
from hum_shared.files import read_json, sha256_file, write_json

_INTERVAL_S = 10.0


class FileState(BaseModel):
    """A recording at the time when its cutouts were made."""

    model_config = ConfigDict(frozen=True)

    size: int
    modified_ns: int
    sha256: str


class _Content(BaseModel):
    schema_version: int = 1
    recordings: dict[str, FileState] = Field(default_factory=dict)
    cutouts: list[str] = Field(default_factory=list)


class CutoutRecord:
    """The recordings and files of one run's cutouts.

    It is kept at once, every ten seconds, and when :meth:`close` is called: what a killed run had cut for longer is
    known to the next one, and all of it by name.

    Parameters
    ----------
    path
        Where it is kept. A missing or damaged file is an empty record: everything is cut again.
    wanted
        Names of the files that are to be there in the end.
    """

    def __init__(self, path: Path, wanted: Iterable[str]) -> None:
        self._path, self._wanted = path, {*wanted}
        self._before = _Content()
        with contextlib.suppress(InputError, ValidationError):
            self._before = _Content.model_validate(read_json(path)) if path.exists() else self._before
        self._recordings = dict(self._before.recordings)
        self._kept, self._can_write = self._before, True
        self._keep(complete=False)

    @property
    def obsolete(self) -> list[str]:
        """Names of files that were cut before and are not wanted any more."""
        return sorted({*self._before.cutouts} - self._wanted)

    def knows(self, recording: str) -> bool:
        """Whether the cutouts of a recording have been made."""
        return recording in self._before.recordings

    def state_of(self, recording: str, source: Path) -> FileState:
        """Return the state of a recording now; its digest is only computed where size or time differ."""
        stat, known = source.stat(), self._before.recordings.get(recording)
        if known is not None and (known.size, known.modified_ns) == (stat.st_size, stat.st_mtime_ns):
            return known
        return FileState(size=stat.st_size, modified_ns=stat.st_mtime_ns, sha256=sha256_file(source))

    def is_cut_from(self, recording: str, state: FileState) -> bool:
        """Whether the cutouts of a recording were made from a file of this content."""
        known = self._before.recordings.get(recording)
        return known is not None and known.sha256 == state.sha256

    def begin(self, recording: str) -> None:
        """Note that cutouts of a recording are about to be replaced: until they all are they count as not made."""
        if self._recordings.pop(recording, None) is not None:
            self._keep(complete=False)

    def finish(self, recording: str, state: FileState) -> None:
        """Note that all cutouts of a recording were made from a file in this state."""
        self._recordings[recording] = state
        if time.monotonic() - self._written >= _INTERVAL_S:
            self._keep(complete=False)

    def close(self, *, complete: bool) -> None:
        """Keep what is known; when not `complete`, files of earlier runs are still to be removed."""
        self._keep(complete=complete)

    def _keep(self, *, complete: bool) -> None:
        """Write what differs from what is kept, atomically.

        Where the run may only be read, as with cutouts in a folder of one's own, a warning says what that costs.
        """
        self._written = time.monotonic()
        cutouts = self._wanted if complete else self._wanted | {*self._before.cutouts}
        content = _Content(recordings=self._recordings, cutouts=sorted(cutouts))
        if content == self._kept or not self._can_write:
            return
        try:
            write_json(self._path, content.model_dump(mode="json"))
            self._kept = content.model_copy(deep=True)
        except (OSError, HumError) as error:
            self._can_write = False
            warn(f"{self._path}: cannot be written ({error}); another run would cut everything again")
