"""Options that several commands have, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hum_slurm.site import shipped_site_names

WorkspaceDir = Annotated[Path, typer.Option(help="folder that holds TRAINING/, BENCHMARK/ and workspace.toml")]
SiteName = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join(shipped_site_names())} or a .toml file; default: that of workspace.toml, else generic"
    ),
]
SetName = Annotated[str | None, typer.Option("--set", help="work in BENCHMARK/sets/NAME instead of BENCHMARK")]
