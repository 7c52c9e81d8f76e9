"""What a factory is going to write: everything is known, and checked, before the first file appears."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared.config.cfg import CfgModel, format_cfg
from hum_shared.files import write_text


@dataclass
class Plan:
    """Files and folders to write, and what their reader should know.

    Attributes
    ----------
    files
        Path → text, in the order of writing.
    folders
        Folders that must exist, though nothing is written there yet.
    warnings
        One line each, for a person.
    next_steps
        Commands that go on from here.
    """

    files: dict[Path, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)

    def add_cfg(self, path: Path, cfg: CfgModel) -> None:
        """Add a cfg file."""
        self.files[path] = format_cfg(cfg, "Written by hum-slurm, and again when its factory is run.")

    def warn(self, text: str) -> None:
        """Add a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def suggest(self, *words: str | Path) -> None:
        """Add a command that goes on from here, quoted for a shell."""
        self.next_steps.append(shlex.join(map(str, words)))

    def write(self) -> list[Path]:
        """Write what differs from what is there, each file whole or not at all; return the paths written.

        Manifests stand before the batch files that name their digests, so that an interrupted run leaves no
        batch file whose manifest is still to come.
        """
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        changed = [path for path, text in self.files.items() if not _holds(path, text)]
        for path in changed:
            write_text(path, self.files[path])
        return changed


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
