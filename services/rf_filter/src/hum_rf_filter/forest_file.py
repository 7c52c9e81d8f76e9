"""Forest files: `.skops` of ours, which run no code when read, and pinned pickles from elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import joblib
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import InconsistentVersionWarning

from hum_shared.errors import ModelError
from hum_shared.files import atomic_path

Classifier: TypeAlias = RandomForestClassifier | ExtraTreesClassifier

SKOPS_SUFFIX = ".skops"
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")

_TRUSTED = ("sklearn.tree._tree.Tree",)
"""What skops does not trust by itself and a forest needs: node arrays, whose indices `_check_trees` checks."""

_WALKED = "sklearn.externals.array_api_compat.torch"


def read_forest_bytes(path: Path, pinned_sha256: str | None) -> tuple[bytes, str]:
    """Read a forest file and check its digest before anything in it is believed.

    Returns
    -------
    content : bytes
    sha256 : str

    Raises
    ------
    ModelError
        When the file is missing, is of no known kind, is a pickle without a pinned digest, or is another file
        than the pinned one.
    """
    suffix = path.suffix.lower()
    if suffix not in (SKOPS_SUFFIX, *PICKLE_SUFFIXES):
        known = ", ".join((SKOPS_SUFFIX, *PICKLE_SUFFIXES))
        raise ModelError(f"{path}: a forest's name ends in one of {known}, not in {suffix or 'nothing'}")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such forest. Train one with hum-rf-filter train, or correct rf_model_path."
        ) from None
    except IsADirectoryError:
        raise ModelError(f"{path}: is a folder, a forest file is expected") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if pinned_sha256 is None and suffix in PICKLE_SUFFIXES:
        raise ModelError(
            f"{path}: a pickle can run code when it is loaded, so its digest must be pinned. If you trust this "
            f"file, write rf_model_sha256={sha256} into rf.cfg."
        )
    if pinned_sha256 not in (None, sha256):
        raise ModelError(
            f"{path}: its SHA-256 is not the one rf.cfg pins ({pinned_sha256}). If you trust this file, write "
            f"rf_model_sha256={sha256} into rf.cfg."
        )
    return content, sha256


def parse_forest(content: bytes, path: Path) -> tuple[Classifier, list[str]]:
    """Return the forest in a file's bytes and what to warn about, one line each.

    Parameters
    ----------
    content
        From :func:`read_forest_bytes`, which decides whether they may be loaded at all.
    path
        Tells the kind of file, and names it in messages.

    Raises
    ------
    ModelError
        When they hold neither a Random Forest nor Extra Trees, one without feature names, or types that a forest
        does not need.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forest = _from_skops(content, path) if path.suffix.lower() == SKOPS_SUFFIX else _from_pickle(content, path)
    if not isinstance(forest, Classifier):
        raise ModelError(
            f"{path}: holds a {type(forest).__name__}, neither a RandomForestClassifier nor an ExtraTreesClassifier"
        )
    if not hasattr(forest, "feature_names_in_"):
        raise ModelError(f"{path}: the forest does not name its features. Fit it on a table with column names.")
    # One thread: the sum over trees then has one order, and the same input the same last digit.
    forest.set_params(n_jobs=1, verbose=0)
    return forest, _summed_up(caught, path)


def write_forest(path: Path, forest: Classifier) -> None:
    """Write a forest as `.skops`, atomically; equal forests give equal bytes.

    skops names its members by addresses in memory and stamps them with the time; both are evened out here, so
    that a digest pinned in a cfg survives training the same forest again.
    """
    with zipfile.ZipFile(io.BytesIO(_skops().dumps(forest))) as written:
        members = {name: written.read(name) for name in written.namelist()}
    numbers: dict[str, str] = {}

    def numbered(address: re.Match[str]) -> str:
        return numbers.setdefault(address[0], str(len(numbers) + 1))

    schema = re.sub(r'(?<="__id__": )\d+|(?<="file": ")\d+(?=\.)', numbered, members.pop("schema.json").decode())
    renamed = {numbers[name.partition(".")[0]] + ".npy": content for name, content in members.items()}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in {**dict(sorted(renamed.items())), "schema.json": schema.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _from_skops(content: bytes, path: Path) -> object:
    if not content:
        raise ModelError(f"{path}: empty file (0 bytes); copy the forest again")
    skops = _skops()
    try:
        forest = skops.loads(content, trusted=list(_TRUSTED))
    except skops.exceptions.UntrustedTypesFoundException:
        unknown = sorted(set(skops.get_untrusted_types(data=content)) - set(_TRUSTED))
        raise ModelError(
            f"{path}: holds types that a forest does not need: {', '.join(unknown)}. Do not trust it."
        ) from None
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError, ImportError) as error:
        raise ModelError(f"{path}: not a forest that skops can read ({error})") from None
    if isinstance(forest, Classifier):
        _check_trees(forest, path)
    return forest


def _from_pickle(content: bytes, path: Path) -> object:
    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:  # a pickle can raise anything; it is the pinned one, so its content is at fault
        raise ModelError(f"{path}: cannot be loaded ({type(error).__name__}: {error})") from None


def _check_trees(forest: Classifier, path: Path) -> None:
    """Refuse trees whose nodes point outside: scikit-learn follows them without looking."""
    for number, estimator in enumerate(forest.estimators_):
        tree = estimator.tree_
        node = np.arange(tree.node_count)
        inner = tree.children_left != -1
        children = np.stack((tree.children_left, tree.children_right))[:, inner]
        sound = (
            len(tree.children_left) == tree.node_count == len(tree.value)
            and np.all((children > node[inner]) & (children < tree.node_count))
            and np.all((tree.feature[inner] >= 0) & (tree.feature[inner] < forest.n_features_in_))
        )
        if not sound:
            raise ModelError(f"{path}: tree {number} is damaged: its nodes point outside the tree")


def _summed_up(caught: list[warnings.WarningMessage], path: Path) -> list[str]:
    """Return warnings as lines; scikit-learn repeats the one about its version for every tree."""
    versions = sorted(
        {
            f"{found.original_sklearn_version}, loaded with {found.current_sklearn_version}"
            for warning in caught
            if isinstance(found := warning.message, InconsistentVersionWarning)
        }
    )
    lines = [f"{path}: the forest was made with scikit-learn {version}; its results may differ" for version in versions]
    others = (str(one.message) for one in caught if not isinstance(one.message, InconsistentVersionWarning))
    return lines + list(dict.fromkeys(others))


def _skops() -> ModuleType:
    """Import skops without torch.

    skops lists every class of scikit-learn when it is imported, and for that imports every module of it, among
    them the adapter for torch. The filter has no use for torch, which costs seconds and hundreds of megabytes.
    """
    with _not_importable(_WALKED):
        return importlib.import_module("skops.io")


@contextmanager
def _not_importable(name: str) -> Iterator[None]:
    if name in sys.modules:  # torch is in use in this process already
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system documents for this purpose
    try:
        yield
    finally:
        del sys.modules[name]
