"""Forest files: what is loaded, what is refused, and that equal forests give equal bytes."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from hum_rf_filter import forest_file
from hum_rf_filter.forest_file import parse_forest, read_forest_bytes, write_forest
from hum_shared.errors import ModelError
from support.rf_run import tonal_forest

LEGACY = Path(__file__).parents[3] / "shared" / "legacy" / "rf_actually_with_logits_neg1.pkl"
LEGACY_SHA256 = "d54c796886f4a4fcca38bf88991676bfc2c69321f97830120cfa83cd590b7855"
FEATURES = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])
LABELS = (FEATURES["a"] > 0).astype(int)


def forest(**changes: object) -> RandomForestClassifier:
    return RandomForestClassifier(5, random_state=0, **changes).fit(FEATURES, LABELS)


def load(path: Path, pinned: str | None = None) -> tuple[RandomForestClassifier, list[str]]:
    return parse_forest(read_forest_bytes(path, pinned)[0], path)


def test_a_forest_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a b'c\"$d ü.v2.skops"
    write_forest(path, forest())
    loaded, warnings = load(path)
    np.testing.assert_array_equal(loaded.predict_proba(FEATURES), forest().predict_proba(FEATURES))
    assert warnings == []


def test_equal_forests_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.skops", "b.skops"):
        write_forest(tmp_path / name, forest())
    assert (tmp_path / "a.skops").read_bytes() == (tmp_path / "b.skops").read_bytes()


def test_a_pickle_needs_a_pinned_digest_and_the_error_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "rf.pkl"
    joblib.dump(forest(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=f"rf_model_sha256={sha256} into rf.cfg"):
        load(path)
    with pytest.raises(ModelError, match=f"{'0' * 64}.*rf_model_sha256={sha256}"):
        load(path, "0" * 64)
    assert load(path, sha256)[0].n_estimators == 5


def test_a_pickle_of_another_digest_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "rf.pkl"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="pinned"):
        load(path)
    assert not (tmp_path / "sprung").exists()


def test_a_skops_file_of_another_digest_is_refused(tmp_path: Path) -> None:
    write_forest(tmp_path / "f.skops", forest())
    with pytest.raises(ModelError, match="not the one"):
        load(tmp_path / "f.skops", "0" * 64)


def test_a_skops_file_with_a_foreign_type_is_refused_by_name(tmp_path: Path) -> None:
    odd = forest()
    odd.extra_ = Path("x")
    skops = forest_file._skops()
    (tmp_path / "f.skops").write_bytes(skops.dumps(odd))
    with pytest.raises(ModelError, match="PosixPath"):
        load(tmp_path / "f.skops")


def test_a_skops_file_whose_trees_point_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, forest())
    break_a_tree(path)
    with pytest.raises(ModelError, match="nodes point outside"):
        load(path)


def break_a_tree(path: Path) -> None:
    """Let nodes of a forest file point outside their trees."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content), allow_pickle=False)
            if array.dtype.names and "left_child" in array.dtype.names:
                array["left_child"][0] = 10_000_000
                changed = io.BytesIO()
                np.save(changed, array)
                members[name] = changed.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text"])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    for name in ("f.skops", "f.pkl"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelError, match="f\\."):
            load(path, hashlib.sha256(content).hexdigest())


def test_what_is_no_forest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, DecisionTreeClassifier(random_state=0).fit(FEATURES, LABELS))
    with pytest.raises(ModelError, match="holds a DecisionTreeClassifier"):
        load(path)


def test_extra_trees_are_a_forest_too_and_checked_like_one(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    trees = ExtraTreesClassifier(3, random_state=0).fit(FEATURES, LABELS)
    write_forest(path, trees)
    np.testing.assert_array_equal(load(path)[0].predict_proba(FEATURES), trees.predict_proba(FEATURES))
    break_a_tree(path)
    with pytest.raises(ModelError, match="nodes point outside"):
        load(path)


def test_a_forest_without_feature_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.skops"
    write_forest(path, RandomForestClassifier(3, random_state=0).fit(FEATURES.to_numpy(), LABELS))
    with pytest.raises(ModelError, match="name its features"):
        load(path)


@pytest.mark.parametrize(
    ("name", "said"), [("gone.skops", "no such forest"), ("f.onnx", "ends in one of"), ("", "ends in")]
)
def test_a_missing_or_unknown_file_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load(tmp_path / name)


@pytest.mark.skipif(not LEGACY.exists(), reason="../shared/legacy is not there")
def test_the_legacy_forest_loads_with_one_warning() -> None:
    loaded, warnings = load(LEGACY, LEGACY_SHA256)
    assert len(loaded.feature_names_in_) == 90
    assert len(warnings) == 1
    assert "1.6.1" in warnings[0]


def test_a_forest_predicts_in_one_thread_so_that_sums_have_one_order(tmp_path: Path) -> None:
    path = tonal_forest(tmp_path / "f.skops")
    assert load(path)[0].n_jobs == 1
