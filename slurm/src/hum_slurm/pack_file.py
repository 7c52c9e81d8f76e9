"""The file of `hum-slurm pack`: a tar archive of small files and one description of all that it does not hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.config.workspace import WorkspaceSettings
from hum_shared.errors import InputError
from hum_shared.files import atomic_path
from hum_slurm.context import is_set_name
from hum_slurm.stages import StageName

_DESCRIPTION = "pack.json"
_FILES, _RESULTS = "files/", "results/"
_SCRIPT_NAME = re.compile(r"[^/\x00-\x1f]+\.s?batch")


class PackedArray(BaseModel):
    """A batch script without its site: which rows of the manifest it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: str
    first_row: int
    n_rows: int
    concurrency: int


class PackedStage(BaseModel):
    """A stage's arrays; its manifest is among the files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: StageName
    set_name: str | None
    manifest_sha256: str
    arrays: list[PackedArray]
    launcher: str | None = Field(description="name of the script that submits all; null for none")


class Description(BaseModel):
    """What a pack holds, and what it was made from. Paths are values of cfgs: relative, or ``{root}/…``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    created_at: str
    code_version: str
    git_commit: str | None
    cpu: str = Field(description="the type of CPU it was run on")
    settings: WorkspaceSettings = Field(description="workspace.toml without site and roots")
    roots: list[str] = Field(description="names of the roots that the workspace had")
    stages: list[PackedStage]
    files: dict[str, str] = Field(description="file in the pack → SHA-256")
    inputs: dict[str, str] = Field(description="recordings, datasets, indexes → SHA-256; not in the pack")
    models: dict[str, str] = Field(description="networks and forests → SHA-256; not in the pack")
    images: dict[str, str] = Field(description="name of an image → SHA-256; empty where none were used")
    results: dict[str, str] = Field(description="indexes and tables → SHA-256; the indexes are in the pack")


class Pack:
    """A description and the files that go with it, by path."""

    def __init__(self, description: Description, files: Mapping[str, bytes], results: Mapping[str, bytes]):
        self.description, self.files, self.results = description, files, results


def write_pack(path: Path, pack: Pack) -> None:
    """Write a pack; equal contents give equal bytes."""
    members = {_DESCRIPTION: pack.description.model_dump_json(indent=2).encode()}
    members |= {_FILES + name: data for name, data in pack.files.items()}
    members |= {_RESULTS + name: data for name, data in pack.results.items()}
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(members):
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            archive.addfile(info, io.BytesIO(members[name]))


def read_pack(path: Path) -> Pack:
    """Read a pack and check that it is whole.

    Raises
    ------
    InputError
        When it cannot be read, is no pack, is damaged, or names a file outside the workspace or a script that is none.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    members: dict[str, bytes] = {}
    try:
        with gzip.open(path) as packed:
            whole = io.BytesIO(packed.read())  # to its end, where the checksum stands
        with tarfile.open(fileobj=whole) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    members[member.name] = file.read()
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise InputError(f"{path}: not a whole pack ({error}). Copy it again.") from None
    if _DESCRIPTION not in members:
        raise InputError(f"{path}: no pack of hum-slurm: it holds no {_DESCRIPTION}")
    try:
        description = Description.model_validate_json(members[_DESCRIPTION])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}: {_DESCRIPTION}: {where}: {first['msg']}. Was it packed by a newer version?"
        ) from None
    files = {name.removeprefix(_FILES): data for name, data in members.items() if name.startswith(_FILES)}
    results = {name.removeprefix(_RESULTS): data for name, data in members.items() if name.startswith(_RESULTS)}
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"{path}: {name} lies outside the workspace. This pack is not to be trusted.")
    for name in _names_of_no_script(description):
        raise InputError(f"{path}: {_DESCRIPTION} would write {name!r}. This pack is not to be trusted.")
    damaged = [name for name, digest in description.files.items() if sha256_bytes(files.get(name, b"")) != digest]
    damaged += [name for name, data in results.items() if sha256_bytes(data) != description.results.get(name)]
    if damaged or files.keys() != description.files.keys():
        raise InputError(f"{path}: {(damaged or ['its list of files'])[0]} is not what was packed. Copy it again.")
    return Pack(description, files, results)


def _names_of_no_script(description: Description) -> Iterator[str]:
    """Yield names of scripts and sets that would lead out of the folders of jobs, or be no batch script there."""
    for packed in description.stages:
        if packed.set_name is not None and not is_set_name(packed.set_name):
            yield packed.set_name
        scripts = [array.script for array in packed.arrays] + ([packed.launcher] if packed.launcher is not None else [])
        yield from (name for name in scripts if _SCRIPT_NAME.fullmatch(name) is None)


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()
