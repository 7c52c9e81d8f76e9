"""What a forest learns from a feature CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hum_rf_filter.tables import write_features
from hum_rf_filter.training_data import is_feature, read_training_data
from hum_shared.errors import TableError

CLIPS = ["387_20201207_cut.wav_0_900.wav", "387_20201207_cut.wav_900_1800.wav", "other.wav"]


def table(**changes: object) -> pd.DataFrame:
    columns = {
        "wave_file": CLIPS,
        "selection": [2, 1, 1],
        "cnn_logit_mean": [0.5, np.nan, 1.0],
        "mfcc1_mean": [1.0, 2.0, 3.0],
        "validated_label": ["target", "Noise", "target"],
    }
    return pd.DataFrame({**columns, **changes})


def read(folder: Path, **changes: object):
    path = folder / "features ü.csv"
    write_features(path, table(**changes))
    return read_training_data(path)


def test_clips_of_one_tape_share_it_and_lie_one_after_the_other(tmp_path: Path) -> None:
    data = read(tmp_path)
    assert data.tapes.tolist() == ["387_20201207_cut.wav", "387_20201207_cut.wav", "other.wav"]
    assert data.times[0] < data.times[1]
    assert data.is_target.tolist() == [True, False, True]
    assert list(data.features.columns) == ["cnn_logit_mean", "mfcc1_mean"]
    assert data.warnings == ()


def test_rows_without_label_or_sound_are_left_out_and_said(tmp_path: Path) -> None:
    data = read(tmp_path, validated_label=["target", "", "noise"], mfcc1_mean=[np.nan, 2.0, 3.0])
    assert data.tapes.tolist() == ["other.wav"]
    assert len(data.warnings) == 2


def test_an_empty_logit_is_no_feature(tmp_path: Path) -> None:
    data = read(tmp_path, cnn_logit_mean=[np.nan] * 3)
    assert list(data.features.columns) == ["mfcc1_mean"]
    assert "cnn_logit_mean" in data.warnings[0]


def test_columns_that_are_no_feature_are_not_learned_from(tmp_path: Path) -> None:
    data = read(tmp_path, begin_s=[1.0, 2.0, 3.0])
    assert "begin_s" not in data.features
    assert "begin_s" in data.warnings[0]


def test_other_labels_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds bird"):
        read(tmp_path, validated_label=["target", "bird", "noise"])


def test_a_csv_without_labels_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    write_features(path, table().drop(columns="validated_label"))
    with pytest.raises(TableError, match="no column validated_label"):
        read_training_data(path)


def test_text_among_the_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="not a number"):
        read(tmp_path, mfcc1_mean=["1", "x", "2"])


@pytest.mark.parametrize("value", [float("inf"), -1e300])
def test_a_value_that_no_forest_can_hold_is_named_with_its_row(tmp_path: Path, value: float) -> None:
    with pytest.raises(TableError, match=r"mfcc1_mean of data row 2 is .*, more than a forest can hold"):
        read(tmp_path, mfcc1_mean=[1.0, value, 2.0])


def test_the_digest_changes_with_any_value_label_or_tape(tmp_path: Path) -> None:
    digests = {
        read(tmp_path, **changes).sha256
        for changes in (
            {},
            {"mfcc1_mean": [1.0, 2.0, 3.5]},
            {"validated_label": ["noise", "noise", "target"]},
            {"wave_file": [CLIPS[0], CLIPS[1], "x.wav"]},
        )
    }
    assert len(digests) == 4
    assert read(tmp_path).sha256 in digests


def test_features_are_known_by_name() -> None:
    assert all(
        is_feature(name) for name in ("cnn_logit_mean", "level_above_db", "Dur 90% (s)", "mfcc13_std", "dd_mfcc1_mean")
    )
    assert not any(is_feature(name) for name in ("selection", "validated_label", "mfcc_mean", "xmfcc1_mean"))
