from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hum_shared.errors import TableError
from hum_shared.scores import ScoreMeta, read_score_meta, read_score_track, score_writer

META = ScoreMeta(
    step=400,
    length=3200,
    n_rows=5,
    model_rate=8000,
    model_frames=4800,
    recording="Grün $1.wav",
    recording_sha256="0" * 64,
    frames=4800,
    sample_rate=8000,
    clip_offset_s=900.0,
    classes={"target": 1, "noise": 0},
    model_sha256="1" * 64,
    front_end={"fmin": 0, "fmax": 4000},
    inputs_sha256="2" * 64,
    code_version="0.1.0",
    provenance={"host": "h"},
)
START_S = np.arange(5) * 0.05
PROBS = np.random.default_rng(0).random((5, 2), dtype=np.float32)


def _write(path: Path, meta: ScoreMeta = META, rows: int = 5) -> None:
    with score_writer(path, meta) as writer:
        for part in (slice(0, min(2, rows)), slice(min(2, rows), rows)):
            writer.append(START_S[part], START_S[part] + 0.4, PROBS[part])


@pytest.mark.parametrize("where", ["a b", "len=400", "it's $1", "Grün", "x:y"])
def test_round_trip(tmp_path: Path, where: str) -> None:
    path = tmp_path / where / f"{where}_predict_output.parquet"
    _write(path)
    track = read_score_track(path)
    assert track.meta == META == read_score_meta(path)
    np.testing.assert_array_equal(track.start_s, START_S)
    np.testing.assert_array_equal(track.end_s, START_S + 0.4)
    np.testing.assert_array_equal(track.probs, PROBS)
    assert track.probs.dtype == np.float32


def test_columns_stand_in_the_order_of_class_indices(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet")
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert schema.names == ["start_s", "end_s", "prob_noise", "prob_target"]
    assert [str(kind) for kind in schema.types] == ["double", "double", "float", "float"]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    pq.write_table(table.select(["prob_target", "end_s", "prob_noise", "start_s"]), tmp_path / "y.parquet")
    np.testing.assert_array_equal(read_score_track(tmp_path / "y.parquet").probs, PROBS)


def test_no_rows(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet", META.model_copy(update={"n_rows": 0}), rows=0)
    track = read_score_track(tmp_path / "x.parquet")
    assert (track.start_s.shape, track.probs.shape) == ((0,), (0, 2))


def test_a_track_that_lacks_rows_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet", rows=3)
    with pytest.raises(TableError, match=r"x\.parquet: holds 3 windows instead of 5"):
        read_score_track(tmp_path / "x.parquet")


def test_damaged_scores_are_noticed(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        last = column.dictionary_page_offset + column.total_compressed_size - 1  # of its values
        (tmp_path / "x.parquet").write_bytes(whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :])
        assert read_score_meta(tmp_path / "x.parquet") == META
        with pytest.raises(TableError, match=r"x\.parquet: the scores are damaged .*Delete the file"):
            read_score_track(tmp_path / "x.parquet")


def test_an_interrupted_track_does_not_appear(tmp_path: Path) -> None:
    def interrupted() -> None:
        with score_writer(tmp_path / "x.parquet", META) as writer:
            writer.append(START_S, START_S + 0.4, PROBS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_unknown_metadata_is_kept(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet", ScoreMeta(**META.model_dump(), field_site="hill"))
    assert read_score_meta(tmp_path / "x.parquet").model_extra == {"field_site": "hill"}


def test_what_is_no_score_track_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("0.0|0.4|0.9")
    (tmp_path / "empty.parquet").touch()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "plain.parquet")
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"hum": "{}"}), tmp_path / "broken.parquet")
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"hum": "{"}), tmp_path / "no json.parquet")
    _write(tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-40])
    for name in ("text", "empty", "plain", "broken", "no json", "cut", "none"):
        path = tmp_path / f"{name}.parquet"
        for read in (read_score_track, read_score_meta):
            with pytest.raises(TableError, match="score track") as caught:
                read(path)
            assert str(path) in str(caught.value)


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    pq.write_table(table.drop_columns(["prob_noise"]), tmp_path / "y.parquet")
    with pytest.raises(TableError, match="no column prob_noise; found: start_s, end_s, prob_target"):
        read_score_track(tmp_path / "y.parquet")


def test_a_row_scores_the_middle_of_its_samples(tmp_path: Path) -> None:
    meta = META.model_copy(update={"first": 100, "tail": 1600, "model_frames": 4799})
    _write(tmp_path / "x.parquet", meta)
    centres = read_score_track(tmp_path / "x.parquet").centre_s * 8000
    # The last row would reach over the recording's end by a sample.
    np.testing.assert_allclose(centres, [1700, 2100, 2500, 2900, (1600 + 4799) / 2])
