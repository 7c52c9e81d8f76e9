"""Features of a folder of selection tables, as one CSV to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hum_rf_filter.extraction import Work, extract_all
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.tables import LABEL, feature_table, is_table, recording_of_table, write_features
from hum_shared.errors import HumError, InputError
from hum_shared.failures import settle_failures
from hum_shared.layout import score_file
from hum_shared.progress import track
from hum_shared.recordings import RecordingFolder
from hum_shared.selections import Selection, read_selection_table


@dataclass(frozen=True)
class Extraction:
    """How much stands in the CSV."""

    n_selections: int
    n_recordings: int
    n_labelled: int


def extract_features(
    sel_dir: Path,
    audio_dir: Path,
    out: Path,
    settings: FeatureSettings,
    scores: Path | None = None,
    workers: int = 0,
    progress_file: Path | None = None,
) -> Extraction:
    """Write the features of all selections of all tables in a folder into one CSV.

    Rows are sorted by table, then as the table has them. Where tables carry a label, the CSV ends with
    `validated_label`: the column of that name, else `Sound type`, in lower case.

    Parameters
    ----------
    sel_dir
        Folder of selection tables (`*.txt`), each named after its recording.
    audio_dir
        Folder of the recordings; sub-folders count.
    out
        The CSV.
    scores
        Folder of the recordings' score tracks; without one, features that need it stay empty.
    workers
        Processes; 0 for all CPUs this process may use.

    Raises
    ------
    InputError
        When there are no tables, or no such folders.
    PartialFailure
        When some tables or recordings failed: they stand in `<out>.failures.json`, the CSV holds all others.
    """
    if not sel_dir.is_dir():
        raise InputError(f"{sel_dir}: no such folder; --sel-dir must be the folder of the selection tables")
    tables = sorted(path for path in sel_dir.iterdir() if is_table(path.name))
    if not tables:
        raise InputError(f"{sel_dir}: no selection tables (*.txt) there")
    recordings = RecordingFolder(audio_dir)
    if scores is not None and not scores.is_dir():
        raise InputError(f"{scores}: no such folder; --scores must be the folder of the score tracks")
    work, numbers, failures = _plan(tables, recordings, scores)
    with track("extract", sel_dir.name, "selections", sum(len(one.selections) for one in work), progress_file) as shown:
        parts: list[pd.DataFrame] = [_rows("", [], [], np.empty((0, len(settings.columns))), settings)]
        for extracted in extract_all(work, settings, workers):
            one = extracted.work
            if extracted.features is None:
                failures[one.key] = extracted.failure
            elif one.selections:
                parts.append(_rows(one.recording.name, numbers[one.key], one.selections, extracted.features, settings))
            shown.advance(len(one.selections), one.recording.name)
        table = pd.concat(parts[1:] or parts, ignore_index=True)
        labelled = int((table[LABEL] != "").sum())
        write_features(out, table if labelled else table.drop(columns=LABEL))
        settle_failures(out.with_name(out.name + ".failures.json"), failures, len(tables), "tables")
    return Extraction(len(table), len(parts) - 1, labelled)


def label_of(selection: Selection) -> str:
    """Return what a selection is said to be, in lower case: `validated_label`, else `Sound type`; may be empty."""
    by_name = {name.strip().lower().replace(" ", "_"): text for name, text in selection.extra.items()}
    return (by_name.get(LABEL, "").strip() or selection.sound_type.strip()).lower()


def _plan(
    tables: list[Path], recordings: RecordingFolder, scores: Path | None
) -> tuple[list[Work], dict[str, list[int]], dict[str, str]]:
    """Return what is to be done, table → numbers of its selections, and table → why it cannot be read."""
    work: list[Work] = []
    numbers: dict[str, list[int]] = {}
    failures: dict[str, str] = {}
    for table in tables:
        try:
            content = read_selection_table(table)
            selections, numbers[table.name] = content.rows, content.numbers
            if selections:  # an empty table needs no recording
                path = recordings.find(recording_of_table(table.name))
                track_file = score_file(scores, path.name) if scores is not None else None
                known = track_file if track_file is not None and track_file.is_file() else None
                work.append(Work(table.name, path, selections, known))
        except HumError as error:
            failures[table.name] = str(error)
    return work, numbers, failures


def _rows(
    recording: str,
    numbers: Sequence[int],
    selections: Sequence[Selection],
    features: np.ndarray,
    settings: FeatureSettings,
) -> pd.DataFrame:
    table = feature_table(recording, numbers, selections, features, settings)
    table[LABEL] = pd.Series([label_of(one) for one in selections], dtype=object)
    return table
