"""Pooled features per window, before the linear layer, as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hum_shared.files import atomic_path

_METADATA_KEY = b"inputs_sha256"


class LatentWriter:
    """Appends rows to a latent file; made by :func:`latent_writer`."""

    def __init__(self, path: Path, inputs_sha256: str) -> None:
        self._path, self._metadata = path, {_METADATA_KEY: inputs_sha256.encode()}
        self._writer: pq.ParquetWriter | None = None

    def append(self, start_s: NDArray[np.float64], end_s: NDArray[np.float64], latent: NDArray[np.float32]) -> None:
        """Append rows; shapes (n,), (n,) and (n, channels)."""
        values = pa.FixedSizeListArray.from_arrays(pa.array(latent.ravel()), latent.shape[1])
        table = pa.table({"start_s": start_s, "end_s": end_s, "latent": values}, metadata=self._metadata)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def latent_writer(path: Path, inputs_sha256: str) -> Iterator[LatentWriter]:
    """Write a latent file row group by row group; it appears when the block ends well.

    Columns: `start_s`, `end_s` (s) and `latent` (fixed-size list of float32).

    Parameters
    ----------
    inputs_sha256
        As in the score track's metadata: says what the features were made from.
    """
    with atomic_path(path) as temporary:
        writer = LatentWriter(temporary, inputs_sha256)
        try:
            yield writer
        finally:
            writer.close()


def made_from(path: Path) -> str | None:
    """Return the `inputs_sha256` of a latent file; None when there is no such file or it is not one of ours."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return None
    return str(metadata[_METADATA_KEY].decode()) if _METADATA_KEY in metadata else None
