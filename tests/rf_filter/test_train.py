"""Training: thresholds out of fold, tapes apart, a card that tells it all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.forest import load_forest
from hum_rf_filter.tables import write_features
from hum_rf_filter.thresholds import f_beta_threshold, recall_first_threshold
from hum_rf_filter.train import train_on_features
from hum_rf_filter.training import TrainingSettings, train_forest
from hum_rf_filter.training_data import TrainingData, read_training_data
from hum_shared.errors import InputError
from hum_shared.files import read_json, sha256_file
from hum_shared.layout import forest_card

SMALL = TrainingSettings(trees=20)
FEATURES = FeatureSettings(n_mfcc=2, include_deltas=False)


def rows(n_tapes: int, per_tape: int = 24, seed: int = 0) -> pd.DataFrame:
    """Return rows whose label shows in one feature, and whose tape shows in another one."""
    rng = np.random.default_rng(seed)
    n = n_tapes * per_tape
    is_target = np.arange(n) % 3 == 0
    tape = np.repeat(np.arange(n_tapes), per_tape)
    return pd.DataFrame(
        {
            "wave_file": [f"{number}_20201207_cut.wav" for number in tape],
            "selection": np.tile(np.arange(1, per_tape + 1), n_tapes),
            "cnn_logit_mean": rng.normal(is_target, 1.0),
            "Center Freq (Hz)": tape * 100 + rng.normal(size=n),
            "mfcc1_mean": rng.normal(2 * is_target, 1.0),
            "mfcc2_mean": rng.normal(size=n),
            "validated_label": np.where(is_target, "target", "noise"),
        }
    )


def data_of(folder: Path, table: pd.DataFrame) -> TrainingData:
    write_features(folder / "f.csv", table)
    return read_training_data(folder / "f.csv")


def test_no_tape_is_both_trained_on_and_tested_on(tmp_path: Path) -> None:
    trained = train_forest(data_of(tmp_path, rows(8)), SMALL)
    assert trained.grouped_by == "tape"
    assert trained.tapes["test"]
    assert not set(trained.tapes["train"]) & set(trained.tapes["test"])
    assert len(trained.tapes["train"] + trained.tapes["test"]) == 8


def test_the_test_measures_are_those_of_the_forest_on_unseen_tapes(tmp_path: Path) -> None:
    table = rows(8)
    data = data_of(tmp_path, table)
    trained = train_forest(data, SMALL)
    test = np.isin(data.tapes.astype(str), trained.tapes["test"])
    probs = trained.forest.predict_proba(data.features[test])[:, 1]
    assert trained.metrics["test"]["roc_auc"] == pytest.approx(roc_auc_score(data.is_target[test], probs))
    assert 0.6 < trained.metrics["test"]["roc_auc"] <= 1


def test_out_of_fold_measures_are_not_those_of_learned_rows(tmp_path: Path) -> None:
    table = rows(8)
    table["validated_label"] = np.random.default_rng(1).permutation(table["validated_label"].to_numpy())
    data = data_of(tmp_path, table)
    trained = train_forest(data, SMALL)
    train = np.isin(data.tapes.astype(str), trained.tapes["train"])
    learned = roc_auc_score(data.is_target[train], trained.forest.predict_proba(data.features[train])[:, 1])
    assert learned > 0.95
    assert trained.metrics["out_of_fold"]["roc_auc"] < 0.7


def test_thresholds_follow_their_rules_on_out_of_fold_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(labels: np.ndarray, probs: np.ndarray, floor: float) -> float:
        seen.append((labels, probs))
        return recall_first_threshold(labels, probs, floor)

    monkeypatch.setattr("hum_rf_filter.training.recall_first_threshold", spy)
    trained = train_forest(data_of(tmp_path, rows(8)), SMALL)
    ((labels, probs),) = seen
    assert len(labels) == trained.n_rows["train"]
    assert trained.thresholds["recall_first"] == recall_first_threshold(labels, probs, 0.93)
    assert trained.thresholds["f_beta"] == f_beta_threshold(labels, probs, 1.25)
    assert trained.metrics["out_of_fold"]["at"]["recall_first"]["recall"] >= 0.93


def test_training_writes_a_forest_and_its_card(tmp_path: Path) -> None:
    write_features(tmp_path / "f.csv", rows(6))
    out = tmp_path / "new ü" / "forest.v2.skops"
    done = train_on_features(tmp_path / "f.csv", out, SMALL, FEATURES)
    forest = load_forest(out, None)
    card = read_json(forest_card(out))
    assert forest_card(out).name == "forest.v2.card.json"
    assert forest.classifier.get_params()["min_samples_leaf"] == 2
    assert forest.classifier.get_params()["class_weight"] == "balanced"
    assert forest.classifier.n_estimators == 20
    assert list(forest.columns) == card["feature_names"]
    assert card["model_sha256"] == sha256_file(out)
    assert set(card["medians"]) == set(card["feature_names"])
    assert set(card["thresholds"]) == {"recall_first", "f_beta"}
    assert set(card["metrics"]) == {"out_of_fold", "test"}
    assert card["stft"] == {"n_fft": 2048, "hop": 1024}
    assert card["mfcc"] == {"n_mfcc": 2, "include_deltas": False}
    assert "scikit-learn" in card["provenance"]["packages"]
    assert "ROC-AUC" in (done.report or "")
    assert "confusion matrix" in (done.report or "")


def test_the_same_rows_and_seed_give_the_same_file_and_a_second_training_is_none(tmp_path: Path) -> None:
    write_features(tmp_path / "f.csv", rows(3))
    out = tmp_path / "a.skops"
    train_on_features(tmp_path / "f.csv", out, SMALL, FEATURES)
    first = out.read_bytes()
    assert train_on_features(tmp_path / "f.csv", out, SMALL, FEATURES).report is None
    out.unlink()
    assert train_on_features(tmp_path / "f.csv", out, SMALL, FEATURES).report is not None
    assert out.read_bytes() == first
    train_on_features(tmp_path / "f.csv", out, TrainingSettings(trees=20, seed=1), FEATURES)
    assert out.read_bytes() != first


def test_one_tape_is_judged_by_blocks_of_time_with_a_clear_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_features(tmp_path / "f.csv", rows(1, per_tape=60))
    done = train_on_features(tmp_path / "f.csv", tmp_path / "a.skops", SMALL, FEATURES)
    assert done.card.grouped_by == "time block"
    assert "test" not in done.card.metrics
    assert "too few to judge across tapes" in capsys.readouterr().err


def test_few_tapes_have_no_test_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_features(tmp_path / "f.csv", rows(3))
    done = train_on_features(tmp_path / "f.csv", tmp_path / "a.skops", SMALL, FEATURES)
    assert (done.card.grouped_by, done.card.tapes["test"]) == ("tape", [])
    assert "3 tapes are too few to hold some out" in capsys.readouterr().err


def test_one_class_alone_is_bad_input_and_nothing_is_written(tmp_path: Path) -> None:
    write_features(tmp_path / "f.csv", rows(3).assign(validated_label="target"))
    with pytest.raises(InputError, match="0 of 72 rows are labelled noise"):
        train_on_features(tmp_path / "f.csv", tmp_path / "a.skops", SMALL, FEATURES)
    assert not (tmp_path / "a.skops").exists()


def test_missing_logits_are_learned_from_as_the_median(tmp_path: Path) -> None:
    table = rows(3)
    table.loc[::4, "cnn_logit_mean"] = np.nan
    trained = train_forest(data_of(tmp_path, table), SMALL)
    assert trained.medians["cnn_logit_mean"] == pytest.approx(table["cnn_logit_mean"].median())


def test_forests_are_only_written_as_skops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"end in \.skops"):
        train_on_features(tmp_path / "f.csv", tmp_path / "a.pkl", SMALL, FEATURES)


def test_a_ratio_that_leaves_no_noise_to_learn_from_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_features(tmp_path / "f.csv", rows(3))
    with pytest.raises(InputError, match=r"no noise is left to learn from.*Give a larger --neg-per-pos"):
        train_on_features(tmp_path / "f.csv", tmp_path / "a.skops", TrainingSettings(0.0, trees=20), FEATURES)
    assert not (tmp_path / "a.skops").exists()
