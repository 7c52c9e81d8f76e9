"""The features of one run: taken from their files where those are current, else extracted and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hum_rf_filter.extraction import Work, extract_all
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.run_folder import RunFolder
from hum_rf_filter.sources import Source
from hum_rf_filter.tables import feature_table, read_features, write_features
from hum_shared.errors import NameFormatError
from hum_shared.files import name_that_fits
from hum_shared.progress import Progress
from hum_shared.stopping import StopRequest


def features_of_run(
    run: RunFolder,
    sources: Sequence[Source],
    settings: FeatureSettings,
    workers: int,
    progress: Progress,
    stop: StopRequest,
) -> tuple[dict[Path, pd.DataFrame], dict[str, str]]:
    """Return the features of every table, and the name of each recording that failed → why.

    Each recording's features are on disk before the next one's are waited for: a run that is stopped goes on
    where it was.

    Raises
    ------
    Stopped
        When `stop` was asked to.
    """
    digests = run.feature_digests()
    features: dict[Path, pd.DataFrame] = {}
    failures: dict[str, str] = {}
    todo: dict[str, Source] = {}
    for source in sources:
        file = run.features_file(source.table)
        if digests.get(file.name) == source.digest and file.exists():
            features[source.table] = read_features(file)
            progress.advance(len(source.rows), source.recording)
        else:
            todo[source.table.name] = source

    # A run that is killed between a file and its digest must not leave the one before as the file's.
    stale = {run.features_file(source.table).name for source in todo.values()} & digests.keys()
    if stale:
        digests = {name: digest for name, digest in digests.items() if name not in stale}
        run.note_feature_digests(digests)

    def finish(source: Source, values: np.ndarray) -> None:
        file, numbers = run.features_file(source.table), [row.number for row in source.rows]
        table = feature_table(source.recording, numbers, source.selections, values, settings)
        try:
            with name_that_fits(source.recording):
                write_features(file, table)
        except NameFormatError as error:
            failures[source.recording] = str(error)
            return
        features[source.table] = table
        digests[file.name] = source.digest
        run.note_feature_digests(digests)

    work = []
    for name, source in todo.items():
        if source.path is None or not source.rows:
            finish(source, np.empty((0, len(settings.columns))))
        else:
            work.append(Work(name, source.path, source.selections, source.scores))
    for extracted in extract_all(work, settings, workers):
        source = todo[extracted.work.key]
        if extracted.features is None:
            failures[source.recording] = extracted.failure
        else:
            finish(source, extracted.features)
        progress.advance(len(source.rows), source.recording)
        stop.check(f"the features of {len(features)} of {len(sources)} recordings are kept")
    return features, failures
