"""One run on disk: the tables it starts from, the outputs of the filter, and which of them are current."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hum_rf_filter.tables import ANNOTATION_SUFFIX, is_annotation_table
from hum_shared.errors import InputError
from hum_shared.files import read_json, write_json
from hum_shared.layout import FAILURES, LAYER_INDEX

FEATURES_SUFFIX = ".features_all.csv"


class RunFolder:
    """The paths of one run that the filter reads and writes.

    Parameters
    ----------
    root
        The folder that holds `evaluation/`; `postrf/` appears beside it.
    """

    def __init__(self, root: Path):
        self.root = root
        self.annotations_in = root / "evaluation" / "annotations"
        self.evaluation_index = root / "evaluation" / LAYER_INDEX
        self.annotations = root / "postrf" / "annotations"
        self.features = root / "postrf" / "features_py"
        self.index = root / "postrf" / LAYER_INDEX
        self.failures = root / "postrf" / FAILURES
        self._feature_digests = root / "postrf" / "features.json"

    def tables(self) -> list[Path]:
        """Return the annotation tables of the evaluation, sorted by name.

        Raises
        ------
        InputError
            When there are none.
        """
        folder = self.annotations_in
        tables = [path for path in folder.glob(f"*{ANNOTATION_SUFFIX}") if is_annotation_table(path.name)]
        if not tables:
            raise InputError(f"{folder}: no *{ANNOTATION_SUFFIX}. Run hum-evaluator first, or correct run_root.")
        return sorted(tables)

    def features_file(self, table: Path) -> Path:
        """Return where the features of a table go."""
        return self.features / (table.name.removesuffix(".txt") + FEATURES_SUFFIX)

    def filtered_file(self, table: Path) -> Path:
        """Return where the filtered table goes."""
        return self.annotations / table.name

    def feature_digests(self) -> dict[str, str]:
        """Return the name of each feature file → digest of what it was made from."""
        if not self._feature_digests.exists():
            return {}
        found = read_json(self._feature_digests)
        return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}

    def note_feature_digests(self, digests: Mapping[str, str]) -> None:
        """Keep what the feature files were made from, so that an interrupted run goes on where it was."""
        write_json(self._feature_digests, dict(sorted(digests.items())))

    def is_complete(self, tables: Iterable[Path]) -> bool:
        """Whether every table has its features and its filtered table, and nothing is left of others."""
        wanted = list(tables)
        return (
            not self.failures.exists()
            and _files(self.features) == {self.features_file(table) for table in wanted}
            and _files(self.annotations) == {self.filtered_file(table) for table in wanted}
        )

    def remove_stale(self, tables: Iterable[Path]) -> None:
        """Remove features and filtered tables that belong to none of `tables`."""
        wanted = list(tables)
        for path in _files(self.features) - {self.features_file(table) for table in wanted}:
            path.unlink()
        for path in _files(self.annotations) - {self.filtered_file(table) for table in wanted}:
            path.unlink()


def _files(folder: Path) -> set[Path]:
    """Return our own kinds of files in a folder; what a person put there is not ours to judge."""
    if not folder.is_dir():
        return set()
    return {path for path in folder.iterdir() if path.name.endswith((FEATURES_SUFFIX, ANNOTATION_SUFFIX))}
