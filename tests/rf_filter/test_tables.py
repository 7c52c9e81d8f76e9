"""Names of tables, and feature CSVs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.tables import feature_table, read_features, read_table, recording_of_table, write_features
from hum_shared.errors import TableError
from hum_shared.layout import table_file
from hum_shared.selections import Selection, write_selections


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("387_20201201_cut.wav_0_40_predict_output.log.annotation.result.txt", "387_20201201_cut.wav_0_40"),
        ("a b.c.annotation.result.txt", "a b.c"),
        ("387_20201201_cut.wav.selections.txt", "387_20201201_cut.wav"),
        ("tape.Table.1.selections.txt", "tape"),
        ("tape.txt", "tape"),
    ],
)
def test_a_table_carries_its_recordings_name(name: str, recording: str) -> None:
    assert recording_of_table(name) == recording


@given(st.text(st.characters(blacklist_characters="/\0\n", blacklist_categories=("Cs",)), min_size=1))
def test_every_recordings_name_comes_back_from_the_evaluators_table(stem: str) -> None:
    assert recording_of_table(table_file(Path(), stem + "x.wav").name) == stem + "x"


def test_noise_rows_are_no_selections_and_keep_their_numbers_free(tmp_path: Path) -> None:
    table = tmp_path / "t.txt"
    write_selections(table, [Selection(0, 1, sound_type="Noise"), Selection(1, 2, sound_type="target")])
    (row,) = read_table(table).rows
    assert row.number == 2
    assert row.selection.begin_s == 1


def test_features_survive_the_csv_to_the_last_digit(tmp_path: Path) -> None:
    settings = FeatureSettings(n_mfcc=1, include_deltas=False)
    values = np.random.default_rng(0).normal(size=(2, len(settings.columns))) ** 9
    values[1] = np.nan
    rows = [Selection(0, 1, cnn_logit_mean=1 / 3), Selection(1, 1)]
    table = feature_table('a, "b" ü.wav', [1, 2], rows, values, settings)
    path = tmp_path / "a, ü.csv"
    write_features(path, table)
    pd.testing.assert_frame_equal(read_features(path), table, check_dtype=False, check_exact=True)


def test_columns_stand_in_the_order_of_the_specification() -> None:
    table = feature_table("a.wav", [], [], np.empty((0, 97)), FeatureSettings())
    assert list(table.columns[:5]) == ["wave_file", "selection", "cnn_logit_mean", "Dur 90% (s)", "Dur 50% (s)"]
    assert list(table.columns[13:16]) == ["Agg Entropy (bits)", "mfcc1_mean", "mfcc1_std"]
    assert list(table.columns[-9:]) == [
        "dd_mfcc13_std",
        *("cnn_logit_max", "cnn_logit_min", "cnn_logit_centre", "duration_s", "level_above_db"),
        *("cnn_logit_before", "cnn_logit_after", "cnn_logit_rise"),
    ]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", 'wave_file,selection\n"a,1\n', "wave_file,selection\na.wav,S3\n"])
def test_what_is_no_feature_csv_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=r"f\.csv"):
        read_features(path)
