"""Which groups of features matter."""

import numpy as np
import pandas as pd

from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.importance import GROUPS, group_of, grouped_importance, write_picture
from hum_rf_filter.out_of_fold import judge_out_of_fold
from hum_rf_filter.training_data import TrainingData


def judged_data() -> tuple[TrainingData, dict]:
    rng = np.random.default_rng(0)
    is_target = np.arange(120) % 2 == 0
    features = pd.DataFrame(
        {
            "cnn_logit_mean": rng.normal(size=120),
            "Center Freq (Hz)": rng.normal(size=120),
            # Two columns of one group that tell the same: shuffling one alone would change little.
            "mfcc1_mean": is_target + rng.normal(0, 0.1, 120),
            "mfcc2_mean": is_target + rng.normal(0, 0.1, 120),
        }
    )
    tapes = np.repeat(["a", "b"], 60).astype(object)
    data = TrainingData(features, is_target, tapes, np.arange(120.0), "")
    rows = np.arange(120)
    folds = [(rows[:60], rows[60:]), (rows[60:], rows[:60])]
    judged = judge_out_of_fold(data, rows, folds, "RandomForest", 20, None, 0)
    return data, grouped_importance(features, is_target, judged, seed=0)


def test_the_group_that_tells_all_is_found_and_others_do_not_matter() -> None:
    _, found = judged_data()
    assert list(found) == ["spectral", "cepstral", "CNN"]
    assert found["cepstral"].n_features == 2
    assert found["cepstral"].auc_loss > 0.3
    assert abs(found["spectral"].auc_loss) < 0.05
    assert abs(found["CNN"].auc_loss) < 0.05


def test_importance_is_the_same_every_time() -> None:
    assert judged_data()[1] == judged_data()[1]


def test_every_feature_belongs_to_a_group() -> None:
    settings = FeatureSettings()
    assert {group_of(name) for name in settings.columns} == set(GROUPS)
    assert [group_of(name) for name in ("Dur 90% (s)", "dd_mfcc13_std", "cnn_logit_mean", "cnn_logit_rise")] == [
        *("spectral", "cepstral", "CNN", "context")
    ]


def test_the_picture_is_drawn_the_same_every_time_whatever_the_forests_name(tmp_path) -> None:
    _, found = judged_data()
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.png", found, "a b'c\"$d$ ü.v2.skops: RandomForest")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
