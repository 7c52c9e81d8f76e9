"""A small run on disk for tests of the filter: recordings, annotation tables, a forest and its rf.cfg."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from sklearn.ensemble import RandomForestClassifier

from hum_rf_filter.card import ForestCard, write_card
from hum_rf_filter.features import LOGIT_FEATURE, FeatureSettings
from hum_rf_filter.forest_file import write_forest
from hum_shared.config.cfg import write_cfg
from hum_shared.config.rf import RfCfg
from hum_shared.files import sha256_file
from hum_shared.layout import table_file
from hum_shared.provenance import collect
from hum_shared.selections import Selection, write_selections

SAMPLE_RATE = 8000
SETTINGS = FeatureSettings(n_fft=512, hop=256)


def write_recording(path: Path, hums: Sequence[tuple[float, float]] = (), seconds: float = 10, seed: int = 0) -> Path:
    """Write noise with tones at `hums`."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.random.default_rng(seed).normal(0, 0.02, len(t))
    for start, end in hums:
        during = (t >= start) & (t < end)
        sound[during] += 0.3 * np.sin(2 * np.pi * 300 * t[during])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, SAMPLE_RATE, subtype="PCM_16")
    return path


def write_table(run: Path, recording: str, selections: Sequence[Selection]) -> Path:
    """Write the annotation table of a recording below a run."""
    table = table_file(run / "evaluation" / "annotations", recording)
    write_selections(table, selections)
    return table


def tonal_forest(path: Path, columns: Sequence[str] = (LOGIT_FEATURE, *SETTINGS.acoustic_columns)) -> Path:
    """Write a forest that calls selections with little spread in frequency targets."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(120, len(columns))), columns=list(columns))
    is_target = np.arange(120) % 2 == 0
    if "BW 90% (Hz)" in features:
        features["BW 90% (Hz)"] = np.where(is_target, rng.uniform(0, 500, 120), rng.uniform(1500, 4000, 120))
    forest = RandomForestClassifier(15, max_features=None, random_state=0)
    forest.fit(features, is_target.astype(int))
    write_forest(path, forest)
    return path


def write_forest_card(forest: Path, **told: object) -> None:
    """Write the card of a forest; `told` replaces what it says."""
    values = {
        "model_file": forest.name,
        "model_sha256": sha256_file(forest),
        "classes": {"0": "noise", "1": "target"},
        "grouped_by": "tape",
        "data_sha256": "",
        "inputs_sha256": "",
        "feature_names": [],
        "provenance": collect(()),
        **{name: {} for name in ("medians", "thresholds", "metrics", "tapes", "n_rows", "stft", "mfcc", "training")},
    }
    write_card(forest, ForestCard.model_validate({**values, **told}))


def write_rf_cfg(workspace: Path, run: Path, forest: Path, **changes: object) -> Path:
    """Write an rf.cfg with absolute paths."""
    values = {
        "run_root": str(run),
        "audio_dir": str(workspace / "audio"),
        "rf_model_path": str(forest),
        "n_fft": SETTINGS.n_fft,
        "hop": SETTINGS.hop,
        "num_workers": 1,
    }
    cfg = workspace / "rf.cfg"
    write_cfg(cfg, RfCfg.model_validate({**values, **changes}))
    return cfg
