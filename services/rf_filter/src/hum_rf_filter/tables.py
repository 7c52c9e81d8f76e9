"""Tables in and out: annotation tables with their recording's name, and the CSV of features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.features import LOGIT_FEATURE, FeatureSettings
from hum_shared.errors import TableError
from hum_shared.files import atomic_path
from hum_shared.selections import Selection, read_selection_table

ANNOTATION_SUFFIX = ".annotation.result.txt"
WAVE_FILE, SELECTION, LABEL = "wave_file", "selection", "validated_label"

# Ours, the corpus tables' (`<recording>.selections.txt`), and what Raven suggests when it saves a table.
_TABLE_ENDING = re.compile(
    r"(?:(?:_predict_output\.log)?\.annotation\.result|(?:\.Table\.\d+)?(?:\.selections)?)\.txt$", re.I
)


@dataclass(frozen=True)
class NumberedSelection:
    """A selection and its number in the table it comes from."""

    number: int
    selection: Selection


def is_table(name: str) -> bool:
    """Whether a file name is that of a selection table."""
    return not name.startswith(".") and name.lower().endswith(".txt")


def is_annotation_table(name: str) -> bool:
    """Whether a file name is that of a table that `hum-evaluator` wrote."""
    return not name.startswith(".") and name.endswith(ANNOTATION_SUFFIX)


def recording_of_table(name: str) -> str:
    """Return the name of the recording that a table's file name carries: its stem, or its full name."""
    return _TABLE_ENDING.sub("", name)


@dataclass(frozen=True)
class CandidateTable:
    """What an annotation table holds to be judged, and the columns that somebody added to it."""

    rows: list[NumberedSelection]
    extra_columns: tuple[str, ...]


def read_table(path: Path) -> CandidateTable:
    """Read a table's selections; rows of class `noise` are what lies between selections, and left out.

    Raises
    ------
    TableError
        When it is no selection table.
    """
    table = read_selection_table(path)
    rows = [
        NumberedSelection(number, row)
        for number, row in zip(table.numbers, table.rows, strict=True)
        if row.sound_type.strip().lower() != "noise"
    ]
    return CandidateTable(rows, table.extra_columns)


def feature_table(
    recording: str,
    numbers: Sequence[int],
    selections: Sequence[Selection],
    features: NDArray[np.float64],
    settings: FeatureSettings,
) -> pd.DataFrame:
    """Return features as a table: recording, number in the annotation table, CNN, then the acoustic columns."""
    logits = [np.nan if one.cnn_logit_mean is None else one.cnn_logit_mean for one in selections]
    head = pd.DataFrame(
        {
            WAVE_FILE: pd.Series([recording] * len(selections), dtype=object),
            SELECTION: np.array(numbers, dtype=np.int64),
            LOGIT_FEATURE: np.array(logits, dtype=np.float64),
        }
    )
    return pd.concat([head, pd.DataFrame(features, columns=list(settings.columns))], axis=1)


def write_features(path: Path, table: pd.DataFrame) -> None:
    """Write a feature table as CSV, atomically; numbers keep every digit."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_features(path: Path) -> pd.DataFrame:
    """Read a feature CSV.

    Raises
    ------
    TableError
        When the file cannot be read as CSV, is empty, has no `wave_file` or `selection`, or a selection is no number.
    """
    try:
        table = pd.read_csv(path, dtype={WAVE_FILE: object, LABEL: object})
    except FileNotFoundError:
        raise TableError(f"{path}: no such file. Write it with hum-rf-filter extract.") from None
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: empty. Write it again with hum-rf-filter extract.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, IsADirectoryError) as error:
        raise TableError(f"{path}: not a CSV table ({error})") from None
    missing = [name for name in (WAVE_FILE, SELECTION) if name not in table.columns]
    if missing:
        found = ", ".join(str(name) for name in table.columns[:6])
        raise TableError(f"{path}: no column {', '.join(missing)}; found: {found}, …")
    wrong = ~np.isfinite(pd.to_numeric(table[SELECTION], errors="coerce").to_numpy(np.float64))
    if wrong.any():
        row = int(wrong.argmax())
        raise TableError(f"{path}: row {row + 1}: {SELECTION} is {table[SELECTION][row]}, not a number. Correct it.")
    return table
