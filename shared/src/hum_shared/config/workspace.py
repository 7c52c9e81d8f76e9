"""`workspace.toml`: site, named roots and the factories' arguments of one workspace."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hum_shared.config.cfg import validate
from hum_shared.errors import CfgError
from hum_shared.files import read_text
from hum_shared.layout import WORKSPACE_FILE, Workspace

RootName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]


class WorkspaceSettings(BaseModel):
    """What `workspace.toml` may hold; a missing file is an empty one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    site: str = Field("generic", description="name of a shipped site file, or a path to one")
    data_root: str | None = Field(
        None, description="folder of the dataset_* folders; unset: training_corpus, else data"
    )
    training_corpus: str | None = Field(None, description="corpus the networks are trained on")
    benchmark_corpus: str | None = Field(None, description="corpus the runs are compared on")
    train_variants: str | None = Field(None, description="train_variants.json")
    benchmark_variants: str | None = Field(None, description="benchmark_variants.json")
    rf_model: str | None = Field(None, description="the forest that filters selections")
    roots: dict[RootName, str] = Field(default_factory=dict, description="name → folder, for {name}/… in cfgs")


def read_settings(root: Path) -> WorkspaceSettings:
    """Read `workspace.toml` of a workspace; a missing file gives the defaults.

    Raises
    ------
    CfgError
        When it is not TOML or breaks a rule.
    """
    path = root / WORKSPACE_FILE
    if not path.exists():
        return WorkspaceSettings()
    try:
        parsed = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise CfgError(f"{path}: not TOML: {error}") from None
    return validate(WorkspaceSettings, parsed, path)


def format_settings(settings: WorkspaceSettings) -> str:
    """Return the text of a `workspace.toml`; reading it gives equal settings. Unset values are left out."""
    values = settings.model_dump(exclude={"roots"}, exclude_none=True)
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
    if settings.roots:
        lines += ["", "[roots]", *(f"{name} = {_quoted(folder)}" for name, folder in settings.roots.items())]
    return "\n".join(lines) + "\n"


def with_roots(path: Path, roots: Mapping[str, str]) -> str:
    """Return the text of a `workspace.toml` with named roots added; comments and everything else stay as they are.

    Raises
    ------
    CfgError
        When its `[roots]` are written in a way that nothing can be added to; says what to add by hand.
    """
    text = read_text(path)
    added = "".join(f"{name} = {_quoted(folder)}\n" for name, folder in roots.items())
    table = re.search(r"^\s*\[\s*roots\s*\][^\n]*\n?", text, re.MULTILINE)
    if table is None:
        text = f"{text.rstrip()}\n\n[roots]\n{added}".lstrip()
    else:
        text = f"{text[: table.end()].rstrip()}\n{added}{text[table.end() :]}"
    try:
        understood = tomllib.loads(text).get("roots", {}).items() >= dict(roots).items()
    except tomllib.TOMLDecodeError:
        understood = False
    if not understood:
        raise CfgError(f"{path}: add under [roots]: {', '.join(added.splitlines())}")
    return text.replace("\n", "\r\n") if b"\r\n" in path.read_bytes() else text


def open_workspace(root: Path) -> Workspace:
    """Return the workspace at `root` with the named roots of its `workspace.toml`."""
    root = root.absolute()
    return Workspace(root, {name: root / folder for name, folder in read_settings(root).roots.items()})


def workspace_of(cfg: Path) -> Workspace:
    """Return the workspace a cfg belongs to: the nearest folder above it with a `workspace.toml`.

    A cfg outside any workspace is read as the original programs did: relative to the current folder.
    """
    for folder in cfg.absolute().parents:
        if (folder / WORKSPACE_FILE).is_file():
            return open_workspace(folder)
    return Workspace(Path.cwd())


def _quoted(text: str) -> str:
    # A TOML basic string is a JSON string, but for DEL, which TOML wants escaped.
    return re.sub("\x7f", r"\\u007f", json.dumps(text, ensure_ascii=False))
