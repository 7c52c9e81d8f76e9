"""What a training run leaves to look at: TensorBoard summaries, a CSV of the curves and a picture of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from hum_shared.files import atomic_path, write_text
from hum_trainer.measures import Outcome

CURVES_CSV = "curves.csv"
CURVES_PNG = "curves.png"


class Summaries:
    """Writes TensorBoard events and curves into one folder."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, list(class_names)
        folder.mkdir(parents=True, exist_ok=True)
        self._board = SummaryWriter(str(folder))

    def evaluation(self, epoch: int, history: Sequence[dict[str, float]], outcome: Outcome) -> None:
        """Add the newest row of `history`, and measures and figures of a validation."""
        self._board.add_scalar("lr", history[-1]["lr"], epoch)
        self._board.add_scalar("train/loss", history[-1]["train_loss"], epoch)
        self.outcome("val", epoch, outcome)
        write_curves(self._folder, history)

    def outcome(self, part: str, epoch: int, outcome: Outcome) -> None:
        """Add measures, confusion matrix, ROC and precision-recall figures of one part."""
        for name, value in outcome.measures().items():
            self._board.add_scalar(f"{part}/{name}", value, epoch)
        for name, figure in outcome_figures(outcome, self._class_names).items():
            self._board.add_image(f"{part}/{name}", _pixels(figure), epoch, dataformats="HWC")

    def examples(self, inputs: Tensor, file_names: Sequence[str], epoch: int) -> None:
        """Add pictures of network input (N, 1, T, F), each under its clip's file name."""
        for image, name in zip(inputs.float().cpu(), file_names, strict=True):
            upright = image[0].T.flip(0)[None]  # low frequencies at the bottom
            self._board.add_image(f"examples/{name}", upright.clamp(0, 1), epoch)

    def close(self) -> None:
        """Finish the event file."""
        self._board.close()


def write_curves(
    folder: Path,
    history: Sequence[dict[str, float]],
    measures: Sequence[str] = ("val_accuracy", "val_f1", "val_precision"),
) -> None:
    """Write `curves.csv` and `curves.png` atomically; one row per evaluation.

    Parameters
    ----------
    measures
        Columns that are drawn beside the losses.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(folder / CURVES_CSV, text.getvalue())
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for axes, shown in ((left, ("train_loss", "val_loss")), (right, measures)):
        for name in shown:
            axes.plot(epochs, [row[name] for row in history], marker=".", label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.legend()
    with atomic_path(folder / CURVES_PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def outcome_figures(outcome: Outcome, class_names: Sequence[str]) -> dict[str, Figure]:
    """Return figures of an outcome; ROC and precision-recall are one class against the rest.

    A curve needs cases inside and outside its class; classes without are left out.
    """
    figures = {"confusion": _confusion(outcome.confusion(), class_names)}
    shown = [1] if len(class_names) == 2 else range(len(class_names))
    for name, display in (("roc", RocCurveDisplay), ("precision_recall", PrecisionRecallDisplay)):
        figure = Figure(figsize=(5, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for index in shown:
            inside = outcome.labels == index
            if inside.any() and not inside.all():
                display.from_predictions(inside, outcome.probs[:, index], ax=axes, name=class_names[index])
        figures[name] = figure
    return figures


def _confusion(counts: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names)
    axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted", ylabel="true")
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, str(count), ha="center", va="center")
    return figure


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]
