"""What a run filters: its annotation tables, each with its recording and a digest of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hum_rf_filter import __version__
from hum_rf_filter.features import FEATURES_VERSION, FeatureSettings
from hum_rf_filter.tables import NumberedSelection, read_table, recording_of_table
from hum_shared import names
from hum_shared.audio import probe
from hum_shared.errors import HumError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.index import PredictionIndex, RecordingInfo, read_index
from hum_shared.layout import score_file
from hum_shared.recordings import RecordingFolder
from hum_shared.scores import read_score_meta
from hum_shared.selections import Selection

_SAME_LENGTH_S = 0.002  # indexes round to milliseconds


@dataclass(frozen=True)
class Evaluation:
    """What `evaluation/index.json` adds to the tables; empty where there is none.

    Attributes
    ----------
    recordings
        Every recording that was scored, by its name without audio suffix; None when the index does not say.
    measures
        (recording, start, end) → what the decoder knows of a selection: `score_max`, `confidence`.
    tuned_on
        What the decoder was tuned on, where the index says it.
    models
        Digests of the model files whose scores were decoded, likewise.
    selections_sha256
        Digest of its selections; `postrf/index.json` says by it what was filtered.
    written_ns
        When the index was written; recordings that were written later are not taken for those that it knows.
    """

    recordings: Mapping[str, RecordingInfo] | None = None
    measures: Mapping[tuple[str | None, float, float], Mapping[str, float | None]] = field(default_factory=dict)
    tuned_on: Mapping[str, Any] | None = None
    models: Sequence[str] | None = None
    selections_sha256: str | None = None
    written_ns: int = 0

    def info(self, stem: str) -> RecordingInfo | None:
        """Return what the index says about a recording."""
        return (self.recordings or {}).get(stem)

    def digest(self) -> str:
        """Return the SHA-256 of what is passed on from here."""
        known = None if self.recordings is None else [one.model_dump() for one in self.recordings.values()]
        measures = [[*key, dict(found)] for key, found in self.measures.items()]
        return sha256_json([known, measures, self.tuned_on, self.models, self.selections_sha256])


@dataclass(frozen=True)
class Source:
    """One annotation table and its recording.

    Attributes
    ----------
    table
        The table's file.
    rows, extra_columns
        Its selections, and the columns that somebody added.
    recording
        The recording's full name.
    path, info
        The recording; None where an empty table's recording is gone, which does no harm.
    scores
        Its score track; None where there is none.
    digest
        Changes with anything that features depend on: table, recording, scores, settings, this package's version.
    """

    table: Path
    rows: Sequence[NumberedSelection]
    extra_columns: Sequence[str]
    recording: str
    path: Path | None
    info: RecordingInfo | None
    scores: Path | None
    digest: str

    @property
    def selections(self) -> list[Selection]:
        """The selections alone."""
        return [row.selection for row in self.rows]


def read_evaluation(path: Path) -> Evaluation:
    """Read what the index of an evaluation tells beyond the tables.

    Raises
    ------
    IndexFileError
        When it is there and cannot be read.
    """
    if not path.exists():
        return Evaluation()
    index = read_index(path, PredictionIndex)
    infos = index.meta.recordings
    return Evaluation(
        None if infos is None else {names.recording_stem(info.name): info for info in infos},
        {
            (entry.recording, entry.start_s, entry.end_s): {
                "score_max": entry.score_max,
                "confidence": entry.confidence,
            }
            for entry in index.entries
        },
        index.meta.tuned_on,
        index.meta.models,
        index.selections_sha256,
        path.stat().st_mtime_ns,
    )


def find_sources(
    tables: Sequence[Path],
    recordings: RecordingFolder,
    evaluation: Evaluation,
    settings: FeatureSettings,
    scores_dir: Path | None = None,
) -> tuple[list[Source], dict[str, str]]:
    """Return what can be filtered, and the name of each recording that cannot → why.

    An empty table needs no recording, and no table needs a score track: a broken one is a failure, though.
    """
    sources: list[Source] = []
    failures: dict[str, str] = {}
    for table in tables:
        stem = recording_of_table(table.name)
        known = evaluation.info(stem)
        name, path, info = known.name if known is not None else stem, None, known
        try:
            content = read_table(table)
            rows = content.rows
            try:
                path = recordings.find(stem, known.name if known is not None else None)
                name = path.name
                info = _info(path, known, evaluation.written_ns)
            except HumError:
                if rows:
                    raise
            scores, scores_sha256 = _scores(scores_dir, name) if rows else (None, None)
            digest = _digest(table, info, scores_sha256, settings)
            sources.append(Source(table, rows, content.extra_columns, name, path, info, scores, digest))
        except HumError as error:
            failures[name] = str(error)
    return sources, failures


def _info(path: Path, known: RecordingInfo | None, known_since_ns: int) -> RecordingInfo:
    """Describe a recording.

    The digest that the evaluation knows is believed when the file still has that length and was not written since:
    digesting days of sound once per variant would cost more than all features.
    """
    dur_s = probe(path).dur_s
    same_length = known is not None and known.sha256 is not None and abs(known.dur_s - dur_s) <= _SAME_LENGTH_S
    if known is not None and same_length and path.stat().st_mtime_ns <= known_since_ns:
        return known
    digest = sha256_file(path)
    if known is not None and same_length and known.sha256 == digest:
        return known
    origin = names.parse_recording(path.name)
    return RecordingInfo(
        name=path.name, tape=origin.tape, offset_s=origin.offset_s, dur_s=round(dur_s, 6), sha256=digest
    )


def _scores(folder: Path | None, recording: str) -> tuple[Path | None, str | None]:
    """Return a recording's score track and the digest of what it was made from; None where there is none."""
    path = score_file(folder, recording) if folder is not None else None
    if path is None or not path.is_file():
        return None, None
    return path, read_score_meta(path).inputs_sha256


def _digest(table: Path, info: RecordingInfo | None, scores_sha256: str | None, settings: FeatureSettings) -> str:
    recording = info.sha256 if info is not None else None
    made_by = [settings.columns, __version__, FEATURES_VERSION]
    return sha256_json([sha256_file(table), recording, scores_sha256, asdict(settings), *made_by])
