"""The score track: one Parquet file per recording, the interface between predictor and evaluator.

Columns `start_s`, `end_s` (float64) and one `prob_<class>` (float32) per class; everything else a reader
needs stands as JSON in the file's metadata under the key `hum`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hum_shared.errors import TableError
from hum_shared.files import atomic_path

_METADATA_KEY = b"hum"
_PROB_PREFIX = "prob_"
_ROWS_PER_GROUP = 16_384  # few enough to bound memory, many enough to read fast


class ScoreMeta(BaseModel):
    """Metadata of a score track."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    schema_version: int = 1
    kind: Literal["window", "frame"] = "window"
    first: int = Field(0, description="first sample of row 0, at `model_rate`")
    step: int = Field(description="samples from row to row")
    length: int = Field(description="samples per row")
    n_rows: int
    tail: int | None = Field(None, description="first sample of a last row that is aligned to the end")
    model_rate: int = Field(description="the model's sample rate, Hz")
    model_frames: int = Field(description="the recording's samples at that rate")
    recording: str = Field(description="full file name")
    recording_sha256: str
    frames: int = Field(description="the file's samples per channel, at its own rate")
    sample_rate: int = Field(description="the file's own, Hz")
    clip_offset_s: float = Field(description="where the recording starts on its tape")
    classes: dict[str, int]
    model_sha256: str
    front_end: dict[str, Any] = Field(description="front-end settings; fmin and fmax among them")
    scored_s: list[tuple[float, float]] | None = Field(
        None, description="begin and end, s, of the only parts that were scored: rows elsewhere say noise; None: all"
    )
    inputs_sha256: str = Field(description="digest of audio, model, grid and front end: equal means up to date")
    code_version: str
    provenance: dict[str, Any]


@dataclass(frozen=True)
class ScoreTrack:
    """A score track in memory.

    Attributes
    ----------
    meta
        What was scored, how, and with what.
    start_s, end_s
        Reported times of the rows, shape (n,), seconds from the start of the recording file.
    probs
        Shape (n, classes), float32, columns in the order of class indices.
    """

    meta: ScoreMeta
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    probs: NDArray[np.float32]

    @property
    def centre_s(self) -> NDArray[np.float64]:
        """The instant each row scores, shape (n,), exact seconds: the middle of its samples in the recording."""
        first = self.meta.first + np.arange(self.meta.n_rows, dtype=np.int64) * self.meta.step
        if self.meta.tail is not None:
            first[-1] = self.meta.tail
        stop = np.minimum(first + self.meta.length, self.meta.model_frames)
        centre_s: NDArray[np.float64] = (first + stop) / (2 * self.meta.model_rate)
        return centre_s


class ScoreWriter:
    """Appends rows to a score track; made by :func:`score_writer`."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._waiting: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]] = []
        self._rows = 0

    def append(self, start_s: NDArray[np.float64], end_s: NDArray[np.float64], probs: NDArray[np.float32]) -> None:
        """Append rows; shapes (n,), (n,) and (n, classes)."""
        self._waiting.append((start_s, end_s, probs))
        self._rows += len(probs)
        if self._rows >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait to become a row group."""
        if not self._waiting:
            return
        start_s, end_s, probs = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        columns = [start_s, end_s, *np.ascontiguousarray(probs.T)]
        self._writer.write_table(pa.Table.from_arrays([pa.array(column) for column in columns], schema=self._schema))
        self._waiting, self._rows = [], 0


@contextmanager
def score_writer(path: Path, meta: ScoreMeta) -> Iterator[ScoreWriter]:
    """Write a score track row group by row group; the file appears when the block ends well."""
    schema = pa.schema(
        [("start_s", pa.float64()), ("end_s", pa.float64())]
        + [(_PROB_PREFIX + name, pa.float32()) for name in _by_index(meta.classes)],
        metadata={_METADATA_KEY: meta.model_dump_json().encode()},
    )
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        rows = ScoreWriter(writer, schema)
        yield rows
        rows.flush()


def read_score_meta(path: Path) -> ScoreMeta:
    """Read a score track's metadata without its rows.

    Raises
    ------
    TableError
        When the file is missing, not Parquet, or not a score track.
    """
    try:
        return _meta(pq.read_schema(path), path)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: not a score track ({_first_line(error)})") from None


def read_score_track(path: Path) -> ScoreTrack:
    """Read a score track.

    Raises
    ------
    TableError
        When the file is missing, not Parquet, or not a score track, is damaged or lacks rows.
    """
    meta = read_score_meta(path)
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None
    wanted = ["start_s", "end_s", *(_PROB_PREFIX + name for name in _by_index(meta.classes))]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise TableError(f"{path}: no column {', '.join(missing)}; found: {', '.join(table.column_names)}")
    if table.num_rows != meta.n_rows:
        raise TableError(
            f"{path}: holds {table.num_rows} windows instead of {meta.n_rows}. Delete it and run the prediction again."
        )
    start_s, end_s, *probs = (table[name].to_numpy() for name in wanted)
    return ScoreTrack(meta, start_s, end_s, np.stack(probs, axis=1))


def damaged(path: Path, error: Exception) -> TableError:
    """Return what to say of a score track whose rows cannot be read; its metadata can, so it counts as finished."""
    return TableError(
        f"{path}: the scores are damaged ({_first_line(error)}). Delete the file and run the prediction again."
    )


def _meta(schema: pa.Schema, path: Path) -> ScoreMeta:
    raw = (schema.metadata or {}).get(_METADATA_KEY)
    if raw is None:
        raise TableError(f"{path}: Parquet, but no score track (no metadata 'hum')")
    try:
        return ScoreMeta.model_validate(json.loads(raw))
    except (json.JSONDecodeError, ValidationError) as error:
        raise TableError(f"{path}: metadata of the score track is broken ({_first_line(error)})") from None


def _by_index(classes: dict[str, int]) -> list[str]:
    return sorted(classes, key=lambda name: classes[name])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
