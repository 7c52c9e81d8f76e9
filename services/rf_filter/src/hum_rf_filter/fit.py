"""Whether a forest and a run fit together: features that are missing, settings that differ, values to be filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.context import SCORE_COLUMNS
from hum_rf_filter.features import LOGIT_FEATURE, FeatureSettings
from hum_rf_filter.forest import Forest
from hum_rf_filter.sources import Source
from hum_shared.config.rf import RfCfg
from hum_shared.errors import ModelError
from hum_shared.words import listed


def check_fit(
    forest: Forest, cfg: RfCfg, settings: FeatureSettings, sources: Sequence[Source], model: Path
) -> list[str]:
    """Return what is odd about a forest and a run, one line each.

    Raises
    ------
    ModelError
        When the forest wants features that the settings do not give or that need score tracks which are not
        there, and they may not be filled.
    """
    missing = forest.missing((LOGIT_FEATURE, *settings.columns))
    if missing and not cfg.allow_missing_features:
        raise ModelError(
            f"{model}: wants {', '.join(missing)}, which n_mfcc={cfg.n_mfcc} and "
            f"include_deltas={str(cfg.include_deltas).lower()} do not give. Use the settings it was trained with, "
            "or allow_missing_features=true."
        )
    of_scores = [name for name in forest.columns if name in SCORE_COLUMNS]
    unscored = [one.recording for one in sources if of_scores and one.rows and one.scores is None]
    if unscored and not cfg.allow_missing_features:
        place = (
            f"scores_dir={cfg.scores_dir} holds no" if cfg.scores_dir else "rf.cfg names no scores_dir, so there is no"
        )
        raise ModelError(
            f"{model}: wants {', '.join(of_scores)}, but {place} score track of {_in_short(unscored)}. "
            "Set scores_dir to the run's score tracks, or allow_missing_features=true."
        )
    missing += of_scores if unscored else []
    warnings = [f"{model}: filled with the training median (0 where unknown): {_in_short(missing)}"] if missing else []
    trained = forest.card.stft if forest.card is not None else {}
    if trained and trained != {"n_fft": cfg.n_fft, "hop": cfg.hop}:
        warnings.append(
            f"{model}: trained with n_fft={trained.get('n_fft')}, hop={trained.get('hop')}, "
            f"but rf.cfg says n_fft={cfg.n_fft}, hop={cfg.hop}; probabilities may be off"
        )
    return warnings


def missing_values(
    sources: Sequence[Source],
    features: Mapping[Path, pd.DataFrame],
    probs: Sequence[NDArray[np.float64]],
    forest: Forest,
) -> list[str]:
    """Return one warning per kind of value that was not there."""
    warnings = []
    without_logit = sum(int(features[source.table][LOGIT_FEATURE].isna().sum()) for source in sources)
    if without_logit and LOGIT_FEATURE in forest.columns:
        warnings.append(
            f"{LOGIT_FEATURE} is missing for {without_logit} selections and filled with "
            f"{forest.medians.get(LOGIT_FEATURE, 0.0):g}; probabilities may be off"
        )
    empty = [
        f"{source.recording} at {source.rows[row].selection.begin_s:g} s"
        for source, found in zip(sources, probs, strict=True)
        for row in np.flatnonzero(np.isnan(found)).tolist()
    ]
    if empty:
        warnings.append(
            f"{len(empty)} selections hold no sound, or no frequency bin, and are kept unjudged: "
            f"{listed(empty, 3, '; ')}"
        )
    return warnings


def _in_short(names: Sequence[str]) -> str:
    """Return up to four names, or the first and last of more and their number."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} … {names[-1]} ({len(names)} in all)"
