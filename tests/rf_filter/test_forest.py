"""Which columns a forest wants, what is filled in, and its probabilities."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from hum_rf_filter.forest import Forest, load_forest, target_column
from hum_rf_filter.forest_file import write_forest
from hum_shared.errors import ModelError
from hum_shared.files import sha256_file
from hum_shared.layout import forest_card
from support.rf_run import write_forest_card

ROOT = Path(__file__).parents[2]
LEGACY = ROOT.parent / "shared" / "legacy" / "rf_actually_with_logits_neg1.pkl"
COLUMNS = ["mfcc1_mean", "cnn_logit_mean"]
TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=COLUMNS)


def fitted(labels: np.ndarray) -> RandomForestClassifier:
    return RandomForestClassifier(9, random_state=0).fit(TABLE, labels)


@pytest.mark.skipif(not LEGACY.exists(), reason="../shared/legacy is not there")
def test_the_golden_probabilities_are_reproduced_by_the_legacy_forest() -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "rf_table.json").read_text())
    forest = load_forest(LEGACY, sha256_file(LEGACY))
    for table in golden["tables"]:
        shuffled = pd.DataFrame(table["features"], columns=table["columns"])[table["columns"][::-1]]
        np.testing.assert_allclose(forest.probabilities(shuffled), table["rf_prob"], atol=1e-6)


@pytest.mark.parametrize("kinds", [(0, 1), (0.0, 1.0), ("noise", "target"), ("target", "Vogel"), (False, True)])
def test_the_probability_is_that_of_the_target_whatever_the_classes_are_called(kinds: tuple[object, object]) -> None:
    target = next(kind for kind in kinds if kind in ("target", 1, True))
    other = next(kind for kind in kinds if kind != target)
    is_target = (TABLE["mfcc1_mean"] > 0).to_numpy()
    labels = np.array([target if one else other for one in is_target])
    probs = Forest(fitted(labels), "").probabilities(TABLE)
    assert ((probs > 0.5) == is_target).mean() > 0.9


def test_classes_without_a_target_are_an_error() -> None:
    with pytest.raises(ModelError, match="hum, noise"):
        target_column(["hum", "noise"])


def test_missing_columns_and_missing_logits_are_filled_with_the_training_median(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, fitted((TABLE["cnn_logit_mean"] > 0).astype(int)))
    write_forest_card(path, medians={"cnn_logit_mean": 5.0, "mfcc1_mean": 0.0})
    forest = load_forest(path, None)
    expected = forest.probabilities(TABLE.assign(cnn_logit_mean=5.0))
    np.testing.assert_array_equal(forest.probabilities(TABLE[["mfcc1_mean"]]), expected)
    np.testing.assert_array_equal(forest.probabilities(TABLE.assign(cnn_logit_mean=np.nan)), expected)
    assert expected.mean() > 0.5


def test_a_forest_without_a_card_fills_with_zero() -> None:
    forest = Forest(fitted((TABLE["cnn_logit_mean"] > 0).astype(int)), "")
    expected = forest.probabilities(TABLE.assign(cnn_logit_mean=0.0))
    np.testing.assert_array_equal(forest.probabilities(TABLE[["mfcc1_mean"]]), expected)


def test_a_row_without_sound_has_no_probability() -> None:
    table = TABLE.copy()
    table.loc[3, "mfcc1_mean"] = np.nan
    probs = Forest(fitted((TABLE["mfcc1_mean"] > 0).astype(int)), "").probabilities(table)
    assert np.flatnonzero(np.isnan(probs)).tolist() == [3]


def test_an_empty_table_gives_no_probabilities() -> None:
    assert Forest(fitted((TABLE["mfcc1_mean"] > 0).astype(int)), "").probabilities(TABLE[:0]).shape == (0,)


def test_columns_that_are_not_there_are_named() -> None:
    forest = Forest(fitted((TABLE["mfcc1_mean"] > 0).astype(int)), "")
    assert forest.missing(["mfcc1_mean", "x"]) == ["cnn_logit_mean"]


def test_the_card_of_another_forest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, fitted((TABLE["mfcc1_mean"] > 0).astype(int)))
    write_forest_card(path, model_sha256="0" * 64)
    with pytest.raises(ModelError, match="another forest"):
        load_forest(path, None)


def test_a_damaged_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, fitted((TABLE["mfcc1_mean"] > 0).astype(int)))
    forest_card(path).write_text("{}")
    with pytest.raises(ModelError, match=r"f\.card\.json"):
        load_forest(path, None)
