"""What a training that is judged by events leaves to look at: TensorBoard scalars, a CSV and a picture of curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from hum_trainer.summaries import write_curves

CURVES = ("val_f1", "val_precision", "val_recall")


class EventSummaries:
    """Writes TensorBoard events and curves into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._board = SummaryWriter(str(folder))

    def evaluation(self, epoch: int, history: Sequence[dict[str, float]]) -> None:
        """Add the newest row of `history`."""
        for name, value in history[-1].items():
            if name != "epoch":
                self._board.add_scalar(name.replace("_", "/", 1), value, epoch)
        write_curves(self._folder, history, CURVES)

    def close(self) -> None:
        """Finish the event file."""
        self._board.close()
