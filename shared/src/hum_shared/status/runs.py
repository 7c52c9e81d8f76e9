"""Reading the runs of a workspace: what each layer found, and the numbers of the comparison."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hum_shared.errors import InputError
from hum_shared.index import PredictionMeta, RecordingInfo
from hum_shared.layout import Benchmark, Workspace
from hum_shared.status.inside import Inside, Listing, Parsed
from hum_shared.status.task_files import showable
from hum_shared.status.views import LayerView, RunView

_T = TypeVar("_T")

LAYERS = ("evaluation", "postrf")

_META_START = re.compile(r'\ufeff?\s*\{\s*"meta"\s*:\s*')
_FIRST_BYTES = 1 << 16
_MOST_BYTES = 1 << 27
_TABLE_BYTES = 1 << 25
_KEYS = ("model", "variant", "layer")

Metrics = dict[tuple[str, str, str], dict[str, float | None]]


class RunFiles:
    """Reads the runs of a workspace and of its sets; keeps what has not changed since the last time."""

    def __init__(self, workspace: Workspace, inside: Inside):
        self._workspace, self._inside = Workspace(inside.root), inside
        self._layers = Parsed(self._read_layer, ValidationError, ValueError, RecursionError)
        self._metrics = Parsed(self._read_metrics, ValueError, csv.Error)

    def read(self) -> tuple[list[RunView], list[str]]:
        """Return the runs that have at least one finished layer, sorted, and what could not be read."""
        problems: list[str] = []
        runs: list[RunView] = []
        for name in (None, *self._listing(self._workspace.sets_root, problems).folders):
            runs += self._runs_of(self._workspace.benchmark(name), name, problems)
        return runs, problems

    def _runs_of(self, benchmark: Benchmark, set_name: str | None, problems: list[str]) -> list[RunView]:
        metrics = self._metrics_of(benchmark, problems)
        runs = []
        for model in self._listing(benchmark.runs, problems).folders:
            for variant in self._listing(benchmark.runs / model, problems).folders:
                layers = {}
                for layer in LAYERS:
                    found = self._layer(benchmark, model, variant, layer, problems)
                    if found is not None:
                        numbers = metrics.get((model, variant, layer), {})
                        # More calls found than there are selections: compared before these were made.
                        if found.n_selections is not None and (numbers.get("n_pred") or 0) > found.n_selections:
                            numbers = {}
                        layers[layer] = found.model_copy(update={"metrics": numbers})
                if layers:
                    named = set_name if set_name is None else showable(set_name)
                    runs.append(RunView(model=showable(model), variant=showable(variant), set=named, layers=layers))
        return runs

    def _layer(
        self, benchmark: Benchmark, model: str, variant: str, layer: str, problems: list[str]
    ) -> LayerView | None:
        return self._file(self._layers, benchmark.layer_index(model, variant, layer), problems)

    def _metrics_of(self, benchmark: Benchmark, problems: list[str]) -> Metrics:
        return self._file(self._metrics, benchmark.metrics, problems) or {}

    def _file(self, parsed: Parsed[_T], path: Path, problems: list[str]) -> _T | None:
        """Return what a file says; None where there is none."""
        files = self._listing(path.parent, problems, path.name).files
        values, wrong = parsed.get(path.parent, {path.name: files[path.name]} if path.name in files else {})
        problems += [f"{self._relative(path)}: {problem}" for problem in wrong.values()]
        return values.get(path.name)

    def _listing(self, folder: Path, problems: list[str], suffix: str = "") -> Listing:
        try:
            return self._inside.listing(folder, suffix)
        except (OSError, InputError) as error:
            problems.append(showable(str(error).replace(f"{self._inside.root}/", "")))
            return Listing()

    def _relative(self, path: Path) -> str:
        return showable(path.relative_to(self._inside.root).as_posix())

    def _read_layer(self, path: Path) -> LayerView:
        n_bytes = _FIRST_BYTES
        while True:
            content = self._inside.read(path, n_bytes)
            try:
                return layer_view(first_value(content.decode("utf-8", "replace")))
            except json.JSONDecodeError:
                if len(content) < n_bytes or n_bytes > _MOST_BYTES:
                    raise
                n_bytes *= 8

    def _read_metrics(self, path: Path) -> Metrics:
        return parse_metrics(self._inside.read(path, _TABLE_BYTES).decode("utf-8-sig"))


def first_value(text: str) -> Any:
    """Return the `meta` of an index, from as much of its text as holds it.

    Our indexes begin with it; of another the whole text is needed, and one without gives an empty `meta`.

    Raises
    ------
    json.JSONDecodeError
        When the text ends too early, or is no JSON.
    """
    start = _META_START.match(text)
    if start is not None:
        return json.JSONDecoder().raw_decode(text, start.end())[0]
    index = json.loads(text)
    return index.get("meta") or {} if isinstance(index, dict) else {}


def layer_view(meta: Any) -> LayerView:
    """Return what the `meta` of an index says about its layer; the metrics are still empty.

    Raises
    ------
    pydantic.ValidationError
        When it has not the shape of a prediction index.
    """
    head = PredictionMeta.model_validate(meta)
    recordings = head.recordings
    return LayerView(
        n_selections=head.n_preds,
        n_recordings=None if recordings is None else len(recordings),
        hours=None if recordings is None else hours_of(recordings),
        generated_at=None if head.generated_at is None else showable(head.generated_at),
        metrics={},
    )


def hours_of(recordings: Iterable[RecordingInfo]) -> float:
    """Return how much was scored of all tapes; what several recordings hold counts once.

    As `hum_shared.heard` has it, without numpy, which nobody needs to look at a workspace.
    """
    parts = sorted((recording.tape, *part) for recording in recordings for part in recording.heard_s())
    seconds, reach_s = 0.0, dict.fromkeys((tape for tape, _, _ in parts), -math.inf)
    for tape, start_s, end_s in parts:
        seconds += max(end_s - max(start_s, reach_s[tape]), 0.0)
        reach_s[tape] = max(end_s, reach_s[tape])
    return seconds / 3600


def parse_metrics(text: str) -> Metrics:
    """Return the numbers of a metrics.csv by model, variant and layer; whatever is no number is left out.

    Raises
    ------
    ValueError
        When it lacks one of these three columns.
    """
    rows = csv.DictReader(io.StringIO(text))
    missing = [key for key in _KEYS if key not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; found: {', '.join(rows.fieldnames or ()) or 'nothing'}")
    metrics: Metrics = {}
    for row in rows:
        numbers = {name: _number(cell) for name, cell in row.items() if name not in _KEYS and isinstance(cell, str)}
        metrics[row["model"], row["variant"], row["layer"]] = {
            name: number for name, number in numbers.items() if number is None or not math.isnan(number)
        }
    return metrics


def _number(cell: str) -> float | None:
    """Return a cell as a number; None for an empty one, NaN for text."""
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else None
