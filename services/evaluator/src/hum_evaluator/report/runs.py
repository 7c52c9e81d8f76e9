"""The runs below a folder: their indexes, where their scores and recordings lie, and which are shown in detail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hum_evaluator.compare import LAYERS
from hum_evaluator.cutouts import scored_folder
from hum_evaluator.metrics import Row
from hum_evaluator.plot import counting_score
from hum_shared.config.cfg import read_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import InputError
from hum_shared.heard import by_tape
from hum_shared.index import PredictionIndex, read_index
from hum_shared.intervals import duration
from hum_shared.layout import LAYER_INDEX, SCORE_SUFFIX, Benchmark, run_folders

_SCORED_AS = re.compile(r"len\d+_hop\d+")


@dataclass(frozen=True)
class Layer:
    """One layer of a run: where it lies, what it found, and how that was measured (None without ground truth)."""

    folder: Path
    layer: str
    index: PredictionIndex
    row: Row | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.folder.parent.name

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.folder.name

    @cached_property
    def counts_from(self) -> float | None:
        """The score that a selection had to reach, also one that was filtered then; None where none decides."""
        file = self.folder / "evaluation" / LAYER_INDEX
        if self.layer == "evaluation" or not file.is_file():
            return counting_score(self.index)
        return counting_score(read_index(file, PredictionIndex))

    @property
    def key(self) -> tuple[str, str, str]:
        """Model, variant, layer."""
        return self.model, self.variant, self.layer

    @property
    def name(self) -> str:
        """The three in words."""
        return f"{self.model} · {self.variant} · {self.layer}"

    @property
    def chosen(self) -> float | None:
        """The threshold that decided what is a selection: the forest's after it, else the decoder's."""
        value = self._said("rf_threshold" if self.layer == "postrf" else "threshold")
        return float(value) if isinstance(value, int | float) else None

    @property
    def setting(self) -> str:
        """How the selections came about, in words."""
        at = "" if self.chosen is None else f", threshold {self.chosen:.3g}"
        if self.layer == "postrf":
            return f"what the forest lets pass of the network's selections{at}"
        decoder = self._said("decoder")
        return f"the network's selections, no forest{f', decoder {decoder}' if decoder else ''}{at}"

    def _said(self, key: str) -> object:
        return (self.index.meta.model_extra or {}).get(key)

    @property
    def hours(self) -> float | None:
        """Hours of recordings that were looked at; None in old indexes."""
        scored = self.index.meta.recordings
        return None if scored is None else sum(map(duration, by_tape(scored).values())) / 3600

    @property
    def n_selections(self) -> int:
        """How many selections it holds; noise rows are none."""
        return sum((entry.label or "").lower() != "noise" for entry in self.index.entries)


def read_layers(runs_dir: Path, measured: Sequence[Row] = ()) -> list[Layer]:
    """Read every layer of every run below `runs_dir`, by model, variant and layer.

    Parameters
    ----------
    measured
        Rows of :func:`hum_evaluator.compare.compare`; each is put beside its layer.

    Raises
    ------
    InputError
        When the folder is missing or an index is broken.
    """
    rows = {(row["model"], row["variant"], row["layer"]): row for row in measured}
    found = []
    for folder in run_folders(runs_dir):
        for layer in LAYERS:
            if (folder / layer / LAYER_INDEX).is_file():
                index = read_index(folder / layer / LAYER_INDEX, PredictionIndex)
                found.append(Layer(folder, layer, index, rows.get((folder.parent.name, folder.name, layer))))
    return found


def ranked(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that were measured, highest F1 first; equal ones by name."""
    return sorted((one for one in layers if one.row is not None), key=lambda one: (-_f1(one), one.key))


def shown_in_detail(layers: Sequence[Layer], count: int) -> list[Layer]:
    """Return up to `count` layers worth a closer look.

    The best one, its other layer, then the best of every other model; without measures the last layer of every
    model's first run.
    """
    order = ranked(layers)
    if not order:
        order = sorted(layers, key=lambda one: (-LAYERS.index(one.layer), one.key))
    chosen = order[:1] + [one for one in order[1:] if one.folder == order[0].folder]
    for one in order:
        if one.model not in {other.model for other in chosen}:
            chosen.append(one)
    return chosen[:count]


def scores_of(layer: Layer, scores_root: Path | None) -> Path | None:
    """Return the folder of the score tracks of a run; None where there is none.

    Parameters
    ----------
    scores_root
        ``BENCHMARK/scores``, or a folder that holds score tracks itself; None asks the run's `eval.cfg`.
    """
    if scores_root is not None:
        tag = _SCORED_AS.match(layer.variant)
        candidates = [scores_root / layer.model / tag[0]] if tag else []
        candidates += [scores_root / layer.model, scores_root]
        return next((folder for folder in candidates if _has_tracks(folder)), None)
    run = layer.folder.absolute()
    cfg_file = Benchmark(run.parent.parent.parent).cfg(layer.model, layer.variant, "eval")
    if not cfg_file.is_file():
        return None
    cfg = read_cfg(cfg_file, EvaluationCfg)
    folder = workspace_of(cfg_file).resolve(cfg.scores_dir or cfg.prediction_dir)
    return folder if folder.is_dir() else None


def recordings_of(layer: Layer, audio_dir: Path | None) -> Path | None:
    """Return the folder of the recordings of a run: `audio_dir`, else what it was predicted on; None if unknown."""
    if audio_dir is not None:
        return audio_dir
    try:
        folder = scored_folder(layer.folder)
    except InputError:
        return None  # a run outside a workspace: its pictures and sounds are left out, and the report says so
    return folder if folder.is_dir() else None


def _f1(layer: Layer) -> float:
    value = layer.row["f1"] if layer.row else 0.0
    return float(value or 0.0)


def _has_tracks(folder: Path) -> bool:
    return folder.is_dir() and any(path.name.endswith(SCORE_SUFFIX) for path in folder.iterdir())
