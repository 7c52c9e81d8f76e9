"""`train.log`: what a training run says, kept with the time of day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hum_shared.command import say

FILE_NAME = "train.log"


class TrainingLog:
    """Says lines and appends them to `train.log` as ``HH:MM:SS|I|message``, like the text logs of predictions.

    A run that goes on appends to the log of the run before.

    Parameters
    ----------
    folder
        Where the log goes; made where it is missing.
    details
        Keep what :meth:`detail` is given as well (`debug=true`).
    """

    def __init__(self, folder: Path, *, details: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._details = folder / FILE_NAME, details

    def say(self, message: str) -> None:
        """Print one line and keep it."""
        say(message)
        self._append("I", message)

    def detail(self, message: str) -> None:
        """Keep one line in the log alone, as ``HH:MM:SS|D|message``; without `details` do nothing."""
        if self._details:
            self._append("D", message)

    def _append(self, level: str, message: str) -> None:
        stamp = datetime.now().astimezone().strftime("%H:%M:%S")
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as log:
                log.write(f"{stamp}|{level}|{message}\n")
        except OSError as error:
            error.filename = str(self._path)  # a full disk names no file
            raise
