"""Site files: how one cluster wants its jobs, as a TOML file of a strict model."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from hum_shared.config.cfg import validate
from hum_shared.config.workspace import RootName
from hum_shared.errors import CfgError, InputError
from hum_shared.files import read_text
from hum_slurm.durations import parse_megabytes, parse_minutes
from hum_slurm.stages import StageName

_PLACEHOLDER = re.compile(r"<[^<>]+>")


def _time(text: str) -> str:
    if not _PLACEHOLDER.search(text):
        try:
            parse_minutes(text)
        except InputError as error:
            raise ValueError(str(error)) from None
    return text


def _memory(text: str) -> str:
    if text != "0" and not _PLACEHOLDER.search(text) and parse_megabytes(text) is None:  # 0: all that a node has
        raise ValueError(f"memory {text!r}: write a number and K, M, G or T, as 16G")
    return text


_Line = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\r\n]+$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[^\s'\"\\#]+$")]
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_SHIPPED = Path(__file__).parent / "sites"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class JobSettings(_Part):
    """What one stage's jobs ask Slurm for; what is unset is left to the cluster's defaults."""

    partition: _Word | None = Field(None, description="--partition")
    account: _Word | None = Field(None, description="--account")
    qos: _Word | None = Field(None, description="--qos")
    time: Annotated[_Word, AfterValidator(_time)] | None = Field(
        None, description="--time, for example 12:00:00 or 2-00:00:00"
    )
    cpus: int | None = Field(None, ge=1, description="--cpus-per-task; also the number of threads")
    memory: Annotated[_Word, AfterValidator(_memory)] | None = Field(None, description="--mem, for example 16G")
    gpu: Annotated[str, StringConstraints(pattern=r"^-[^\r\n]+$")] | None = Field(
        None, description="the whole option that asks for a GPU here, for example -G A100:1"
    )
    device: Literal["auto", "cuda"] | None = Field(
        None,
        description="what train and predict compute with, over their cfgs; cuda ends 1 at once where there is none",
    )
    constraint: _Word | None = Field(None, description="--constraint")
    concurrency: int | None = Field(None, ge=1, description="tasks of one array that run at a time")
    modules: list[_Line] = Field(default_factory=list, description="loaded before the task, in this order")
    signal_lead_s: int = Field(180, ge=1, description="seconds before the time limit at which a task is told to save")


class SiteFile(_Part):
    """A site file as it is written."""

    description: str = ""
    runtime: Literal["apptainer", "venv"] = Field(description="images, or the environment hum-slurm lies in")
    images: _Line = Field("images", description="folder of <service>.sif, relative to the workspace or {root}/…")
    scratch: list[_Variable] = Field(
        default_factory=lambda: ["TMPDIR"],
        description="variables that may name a node's scratch folder; the first that is set counts, else /tmp",
    )
    binds: list[_Line] = Field(default_factory=list, description="further folders that tasks read, absolute")
    max_array_size: int | None = Field(
        None, ge=2, description="at most that of the cluster, which is asked when this is unset; else 1001"
    )
    roots: dict[RootName, _Line] = Field(
        default_factory=dict, description="copied into workspace.toml where it lacks them"
    )
    job: JobSettings = Field(JobSettings(), description="holds for every stage")
    stages: dict[StageName, JobSettings] = Field(default_factory=dict, description="what differs for a stage")


class Site:
    """A cluster: a site file and where it came from."""

    def __init__(self, name: str, file: SiteFile):
        self.name, self.file = name, file

    def job(self, stage: StageName) -> JobSettings:
        """Return what jobs of `stage` ask for: its own settings over those of `[job]`."""
        own = self.file.stages.get(stage, JobSettings())
        return self.file.job.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})

    def filled(self, settings: JobSettings, stage: StageName) -> JobSettings:
        """Return `settings` if every value of it is filled in.

        Raises
        ------
        CfgError
            When a placeholder such as ``<account>`` is left; names it.
        """
        values = {**settings.model_dump(), "images": self.file.images, "binds": self.file.binds}
        self._refuse_placeholders({f"{key} of stage {stage}": value for key, value in values.items()})
        return settings

    def is_filled(self, value: str) -> bool:
        """Whether no placeholder is left in `value`."""
        return _PLACEHOLDER.search(value) is None

    def filled_roots(self, names: Iterable[str]) -> dict[str, str]:
        """Return the roots of these names if every one is filled in.

        Raises
        ------
        CfgError
            When a placeholder is left; names it.
        """
        roots = {name: self.file.roots[name] for name in names}
        self._refuse_placeholders({f"roots.{name}": folder for name, folder in roots.items()})
        return roots

    def _refuse_placeholders(self, values: dict[str, Any]) -> None:
        left = [f"{key} is {found[0]}" for key, value in values.items() if (found := _PLACEHOLDER.search(str(value)))]
        if left:
            raise CfgError(
                f"site {self.name}: not filled in: {'; '.join(left)}. "
                "Copy the site file, replace every <…> and pass the copy with --site FILE."
            )


def is_placeholder(value: object) -> bool:
    """Whether a value of a site file is left for the user to fill in."""
    return isinstance(value, str) and _PLACEHOLDER.search(value) is not None


def shipped_site_names() -> list[str]:
    """Return the names of the site files that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def read_site(name: str, folder: Path) -> Site:
    """Read a site file.

    Parameters
    ----------
    name
        The name of a shipped one, or a path that ends in ``.toml``.
    folder
        What a relative path is relative to.

    Raises
    ------
    CfgError
        When there is no such site, or it is not TOML or breaks a rule.
    """
    if name.endswith(".toml"):
        path = folder / name
    elif name in shipped_site_names():
        path = _SHIPPED / f"{name}.toml"
    else:
        raise CfgError(
            f"no site {name!r}; shipped: {', '.join(shipped_site_names())}. Name one of them or a .toml file."
        )
    try:
        parsed = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise CfgError(f"{path}: not TOML: {error}") from None
    return Site(name, validate(SiteFile, parsed, path))
