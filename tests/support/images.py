"""The built container images, run as a cluster runs them: read-only, as somebody else, without network or home."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.private_cluster import CannotRun

ROOT = Path(__file__).parents[2]
SERVICES = ("trainer", "predictor", "evaluator", "rf_filter")
_NOBODY = 65534


class Images:
    """The images of a folder, and the Apptainer that runs them.

    Raises
    ------
    CannotRun
        When there is no Apptainer, no image of some service, or no permission to read one.
    """

    def __init__(self) -> None:
        self.folder = Path(os.environ.get("IMAGES", ROOT / "images"))
        if shutil.which("apptainer") is None:
            raise CannotRun("no apptainer on PATH; PATH=$(tests/hpc/machine/up):$PATH makes one")
        missing = [name for name in SERVICES if not self.path(name).is_file()]
        if missing:
            raise CannotRun(f"no images of {', '.join(missing)} in {self.folder}; make build-sif builds them")

    def path(self, service: str) -> Path:
        """Return where a service's image lies."""
        return self.folder / f"{service}.sif"

    def sums(self) -> dict[str, str]:
        """Return the digest of each image as `SHA256SUMS` tells it, by service."""
        lines = (self.folder / "SHA256SUMS").read_text().splitlines()
        return {name.removesuffix(".sif"): digest for digest, name in (line.split(maxsplit=1) for line in lines)}

    def labels(self, service: str) -> dict[str, str]:
        """Return an image's labels."""
        shown = subprocess.run(
            ["apptainer", "inspect", "--labels", self.path(service)], capture_output=True, text=True, check=True
        )
        pairs = (line.partition(": ") for line in shown.stdout.splitlines())
        return {name: value for name, _, value in pairs}

    def run(
        self,
        service: str,
        *command: str,
        workspace: Path | None = None,
        action: Sequence[str] = ("exec",),
        env: Mapping[str, str] | None = None,
        as_self: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in an image, as `nobody` where these tests run as root.

        Parameters
        ----------
        service
            Whose image.
        command
            What to run; with action ``run``, the arguments of the image's own command.
        workspace
            A folder that may be written, shown at its own path and entered.
        action
            Apptainer's action and further options of it.
        env
            Variables for the container; nothing else of this process's environment reaches it.
        as_self
            Whether to run as the user of the tests, also when that is root.
        """
        return subprocess.run(
            self.command(service, *command, workspace=workspace, action=action, as_self=as_self),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd="/",
            env={**os.environ, **{f"APPTAINERENV_{name}": value for name, value in (env or {}).items()}},
        )

    def command(
        self,
        service: str,
        *command: str,
        workspace: Path | None = None,
        action: Sequence[str] = ("exec",),
        as_self: bool = False,
        network: bool = False,
    ) -> list[str | Path]:
        """Return the command line of :meth:`run`; with `network` the machine's own network is seen."""
        places = ["--pwd", str(workspace or "/")]
        if workspace:  # --mount and its quotes, since --bind takes commas and colons apart
            quoted = str(workspace).replace('"', '""')
            places += ["--mount", f'type=bind,"source={quoted}","destination={quoted}"']
        start = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 and not as_self else []
        apart = [] if network else ["--net", "--network", "none"]
        return [
            *start, "apptainer", "--quiet", *action, "--containall", "--no-home", "--cleanenv", *apart, *places,
            self.path(service), *command,
        ]  # fmt: skip

    def give(self, folder: Path) -> Path:
        """Make a folder with all that is below it belong to the user that :meth:`run` runs as."""
        if os.geteuid() == 0:
            for entry in [folder, *folder.rglob("*")]:
                os.chown(entry, _NOBODY, _NOBODY, follow_symlinks=False)
        return folder
