"""What a forest learns from: features, labels, and which rows come from one tape."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.features import FILLED_COLUMNS
from hum_rf_filter.spectral import SPECTRAL_COLUMNS
from hum_rf_filter.tables import LABEL, SELECTION, WAVE_FILE, read_features
from hum_shared import names
from hum_shared.errors import TableError
from hum_shared.words import listed

TARGET, NOISE = "target", "noise"

_LARGEST = float(np.finfo(np.float32).max)  # scikit-learn's trees hold features as float32
_CEPSTRAL = re.compile(r"(?:d_|dd_)?mfcc\d+_(?:mean|std)")


@dataclass(frozen=True)
class Events:
    """How rows count as events when runs are compared with the truth.

    Attributes
    ----------
    in_runs, matched
        In how many runs each row stands, and in how many of these it matches a true call, shape (n,).
    calls
        Number of the true call each row matches, -1 for none, shape (n,).
    n_true
        True calls, summed over runs: those without a candidate are missed whatever a filter does.
    """

    in_runs: NDArray[np.int64]
    matched: NDArray[np.int64]
    calls: NDArray[np.int64]
    n_true: int

    def of_rows(self, rows: NDArray[np.int64]) -> Events:
        """Return the counts of some of the rows."""
        return Events(self.in_runs[rows], self.matched[rows], self.calls[rows], self.n_true)


@dataclass(frozen=True)
class TrainingData:
    """Labelled rows.

    Attributes
    ----------
    features
        One column per feature; complete, but that `cnn_logit_mean` and columns of context may be NaN in some rows.
    is_target
        Shape (n,).
    tapes
        Full name of each row's tape, shape (n,).
    times
        Where a row lies on its tape: seconds, or anything else that grows with time, shape (n,).
    sha256
        Digest of all of this.
    events
        Of rows that are candidates of runs; None for rows that a person labelled.
    warnings
        What was left out, one line each.
    """

    features: pd.DataFrame
    is_target: NDArray[np.bool_]
    tapes: NDArray[np.object_]
    times: NDArray[np.float64]
    sha256: str
    events: Events | None = None
    warnings: Sequence[str] = field(default_factory=tuple)


def read_training_data(path: Path) -> TrainingData:
    """Read a feature CSV with `validated_label`.

    Rows without a label or without sound are left out, and columns that are no known feature; both is said.

    Raises
    ------
    TableError
        When the file has no labels, other labels than `target` and `noise`, or no features.
    """
    table = read_features(path)
    if LABEL not in table.columns:
        raise TableError(f"{path}: no column {LABEL}. Label selections target or noise, then extract again.")
    labels = table[LABEL].fillna("").str.strip().str.lower()
    others = sorted(set(labels) - {TARGET, NOISE, ""})
    if others:
        raise TableError(f"{path}: {LABEL} holds {listed(others)}; only {TARGET} and {NOISE} are known")
    origins = [names.parse_recording(str(name)) for name in table[WAVE_FILE]]
    return training_data(
        table,
        labels.to_numpy(),
        np.array([origin.tape for origin in origins], dtype=object),
        # Selections are numbered in time order; a clip's number says nothing about the next clip's.
        np.array([origin.offset_s for origin in origins]) * 1e6 + pd.to_numeric(table[SELECTION]).to_numpy(np.float64),
        str(path),
    )


def training_data(
    table: pd.DataFrame,
    labels: NDArray[np.object_],
    tapes: NDArray[np.object_],
    times: NDArray[np.float64],
    source: str,
    events: Events | None = None,
) -> TrainingData:
    """Return the rows of a feature table that can be learned from.

    Parameters
    ----------
    table
        Feature columns among others.
    labels
        `target`, `noise`, or nothing for a row that is left out.
    tapes, times, events
        See :class:`TrainingData`.
    source
        Names the table in messages.

    Raises
    ------
    TableError
        When no feature column is there, or one holds what is not a number or is too large for a forest.
    """
    known = [name for name in table.columns if is_feature(str(name))]
    columns = [name for name in known if name not in FILLED_COLUMNS or table[name].notna().any()]
    if not set(columns) - FILLED_COLUMNS:
        raise TableError(f"{source}: no feature columns. Write it with hum-rf-filter extract.")
    try:
        features = table[columns].astype(np.float64)
    except ValueError as error:
        raise TableError(f"{source}: a feature is not a number ({error})") from None
    too_large = np.argwhere(np.abs(features.to_numpy()) > _LARGEST)
    if len(too_large):
        row, column = too_large[0].tolist()
        value = float(features.to_numpy()[row, column])
        raise TableError(
            f"{source}: {features.columns[column]} of data row {row + 1} is {value:g}, more than a forest can hold. "
            "Leave the row out, or write the table anew with hum-rf-filter extract."
        )
    sounding = features.drop(columns=list(FILLED_COLUMNS), errors="ignore").notna().all(axis=1).to_numpy()
    labelled = labels != ""
    rows = np.flatnonzero(sounding & labelled)
    chosen = features.iloc[rows].reset_index(drop=True)
    is_target = labels[rows] == TARGET
    digest = hashlib.sha256(chosen.to_csv(index=False).encode())
    digest.update(
        "\n".join(f"{a} {b} {c}" for a, b, c in zip(is_target, tapes[rows], times[rows], strict=True)).encode()
    )
    empty = [str(name) for name in known if name not in columns]
    ignored = [str(name) for name in table.columns if name not in (*known, WAVE_FILE, SELECTION, LABEL)]
    warnings = [
        text
        for said, text in (
            (not labelled.all(), f"{source}: {np.count_nonzero(~labelled)} rows without a label are left out"),
            (not sounding.all(), f"{source}: {np.count_nonzero(~sounding)} rows without sound are left out"),
            (bool(ignored), f"{source}: columns that are no feature are left out: {', '.join(ignored)}"),
            (bool(empty), f"{source}: empty columns are left out: {', '.join(empty)}"),
        )
        if said
    ]
    return TrainingData(
        chosen,
        is_target,
        tapes[rows],
        times[rows],
        digest.hexdigest(),
        None if events is None else events.of_rows(rows),
        tuple(warnings),
    )


def is_feature(name: str) -> bool:
    """Whether a column of this name is a feature."""
    return name in FILLED_COLUMNS or name in SPECTRAL_COLUMNS or is_cepstral(name)


def is_cepstral(name: str) -> bool:
    """Whether a column of this name is one of the cepstrum's."""
    return _CEPSTRAL.fullmatch(name) is not None
