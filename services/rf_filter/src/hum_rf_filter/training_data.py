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

from hum_rf_filter.features import LOGIT_FEATURE
from hum_rf_filter.spectral import SPECTRAL_COLUMNS
from hum_rf_filter.tables import LABEL, SELECTION, WAVE_FILE, read_features
from hum_shared import names
from hum_shared.errors import TableError

TARGET, NOISE = "target", "noise"

_CEPSTRAL = re.compile(r"(?:d_|dd_)?mfcc\d+_(?:mean|std)")


@dataclass(frozen=True)
class TrainingData:
    """Labelled rows.

    Attributes
    ----------
    features
        One column per feature; complete, but that `cnn_logit_mean` may be NaN in some rows.
    is_target
        Shape (n,).
    tapes
        Full name of each row's tape, shape (n,).
    times
        Where a row lies on its tape: seconds, or anything else that grows with time, shape (n,).
    sha256
        Digest of all of this.
    warnings
        What was left out, one line each.
    """

    features: pd.DataFrame
    is_target: NDArray[np.bool_]
    tapes: NDArray[np.object_]
    times: NDArray[np.float64]
    sha256: str
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
        raise TableError(f"{path}: {LABEL} holds {', '.join(others[:5])}; only {TARGET} and {NOISE} are known")
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
) -> TrainingData:
    """Return the rows of a feature table that can be learned from.

    Parameters
    ----------
    table
        Feature columns among others.
    labels
        `target`, `noise`, or nothing for a row that is left out.
    tapes, times
        See :class:`TrainingData`.
    source
        Names the table in messages.

    Raises
    ------
    TableError
        When no feature column is there or one is not numeric.
    """
    known = [name for name in table.columns if is_feature(str(name))]
    columns = [name for name in known if name != LOGIT_FEATURE or table[name].notna().any()]
    if not set(columns) - {LOGIT_FEATURE}:
        raise TableError(f"{source}: no feature columns. Write it with hum-rf-filter extract.")
    try:
        features = table[columns].astype(np.float64)
    except ValueError as error:
        raise TableError(f"{source}: a feature is not a number ({error})") from None
    sounding = features.drop(columns=LOGIT_FEATURE, errors="ignore").notna().all(axis=1).to_numpy()
    labelled = labels != ""
    rows = np.flatnonzero(sounding & labelled)
    chosen = features.iloc[rows].reset_index(drop=True)
    is_target = labels[rows] == TARGET
    digest = hashlib.sha256(chosen.to_csv(index=False).encode())
    digest.update(
        "\n".join(f"{a} {b} {c}" for a, b, c in zip(is_target, tapes[rows], times[rows], strict=True)).encode()
    )
    ignored = [str(name) for name in table.columns if name not in (*known, WAVE_FILE, SELECTION, LABEL)]
    warnings = [
        text
        for said, text in (
            (not labelled.all(), f"{source}: {np.count_nonzero(~labelled)} rows without a label are left out"),
            (not sounding.all(), f"{source}: {np.count_nonzero(~sounding)} rows without sound are left out"),
            (bool(ignored), f"{source}: columns that are no feature are left out: {', '.join(ignored)}"),
            (LOGIT_FEATURE in known and LOGIT_FEATURE not in columns, f"{source}: {LOGIT_FEATURE} is empty; left out"),
        )
        if said
    ]
    return TrainingData(chosen, is_target, tapes[rows], times[rows], digest.hexdigest(), tuple(warnings))


def is_feature(name: str) -> bool:
    """Whether a column of this name is a feature."""
    return name == LOGIT_FEATURE or name in SPECTRAL_COLUMNS or _CEPSTRAL.fullmatch(name) is not None
