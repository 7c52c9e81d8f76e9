"""A forest at work: which columns it wants, what fills those that are missing, and its probabilities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.card import ForestCard, read_card
from hum_rf_filter.features import FILLED_COLUMNS
from hum_rf_filter.forest_file import Classifier, parse_forest, read_forest_bytes
from hum_shared.errors import ModelError

_TARGET_CLASSES = ("target", "1", "1.0", "true")


@dataclass(frozen=True)
class Forest:
    """A loaded forest.

    Attributes
    ----------
    classifier
        Fitted, with `feature_names_in_`.
    sha256
        Digest of its file.
    card
        None for forests from elsewhere.
    warnings
        What loading it gave reason to say, one line each.
    """

    classifier: Classifier
    sha256: str
    card: ForestCard | None = None
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def columns(self) -> tuple[str, ...]:
        """The features it wants, in its order."""
        return tuple(str(name) for name in self.classifier.feature_names_in_)

    @property
    def medians(self) -> Mapping[str, float]:
        """Training median of each feature; 0 for all where the forest carries none."""
        return self.card.medians if self.card is not None else dict.fromkeys(self.columns, 0.0)

    def missing(self, available: Collection[str]) -> list[str]:
        """Return the features it wants that are not available."""
        return [name for name in self.columns if name not in available]

    def probabilities(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of the target for each row.

        Parameters
        ----------
        features
            Columns that are missing are filled with the training median, and so are single missing values of
            what is not the selection's own sound: `cnn_logit_mean` and the columns of context.

        Returns
        -------
        ndarray of float64, shape (n,)
            Calibrated where the card says how. NaN for a row that lacks an acoustic feature which the forest wants,
            as an empty selection does.
        """
        wanted = features.reindex(columns=list(self.columns))
        absent = [name for name in self.columns if name not in features.columns or name in FILLED_COLUMNS]
        wanted = wanted.fillna({name: self.medians.get(name, 0.0) for name in absent})
        complete = wanted.notna().all(axis=1).to_numpy()
        probs = np.full(len(wanted), np.nan)
        if complete.any():
            probs[complete] = self.classifier.predict_proba(wanted[complete])[:, self._target_column]
        calibration = self.card.calibration if self.card is not None else None
        return probs if calibration is None else calibration.apply(probs)

    @property
    def _target_column(self) -> int:
        return target_column(self.classifier.classes_)


def load_forest(path: Path, pinned_sha256: str | None) -> Forest:
    """Load a forest and its card.

    Raises
    ------
    ModelError
        See :func:`~hum_rf_filter.forest_file.read_forest_bytes`, :func:`~hum_rf_filter.forest_file.parse_forest`
        and :func:`~hum_rf_filter.card.read_card`; also when no class is the target's.
    """
    content, sha256 = read_forest_bytes(path, pinned_sha256)
    classifier, warnings = parse_forest(content, path)
    try:
        target_column(classifier.classes_)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return Forest(classifier, sha256, read_card(path, sha256), warnings)


def target_column(classes: Sequence[object]) -> int:
    """Return which of a forest's classes is the target: `target`, 1 or True.

    Raises
    ------
    ModelError
        When none is.
    """
    known = [str(one).lower() for one in classes]
    for name in _TARGET_CLASSES:
        if name in known:
            return known.index(name)
    raise ModelError(f"none of its classes is the target: {', '.join(known)}; one must be 'target' or 1")
