import json
from pathlib import Path
from typing import Any

import pytest

from hum_shared.errors import IndexFileError, InputError
from hum_shared.index import (
    CorpusEntry,
    CorpusIndex,
    CorpusMeta,
    PredictionEntry,
    PredictionIndex,
    VariantIndex,
    read_index,
    update_index,
    write_index,
)

TAPE = "Grün $1_20201207_cut.wav"
PREDICTION = {"uid": 1, "pred_path": "evaluation/annotations/x.txt", "start_s": 1.0, "end_s": 2.0, "dur_s": 1.0}
CORPUS: dict[str, Any] = {
    "uid": 1,
    "clip_path": f"labelled_recordings/{TAPE}_900_1800.wav",
    "raw_path": None,
    "quality": 3,
    "dur_s": 1.0,
    "clip_start_s": 3.0,
    "clip_end_s": 4.0,
    "raw_start_s": 903.0,
    "raw_end_s": 904.0,
}
VARIANT: dict[str, Any] = {
    "meta": {
        "created_at": "2025-01-01T00:00:00+00:00",
        "split_strategy": "random",
        "seed": 42,
        "n_total": 1,
        "n_target": 0,
        "n_noise": 1,
        "split_counts": {"train": 1},
    },
    "entries": [
        {
            "uid": 1,
            "fn": "noise-bg_000001_2020_x_0000000_0001000.wav",
            "class": "noise",
            "label": "bg",
            "tape_key": "x",
            "clip_path": "c",
            "quality": None,
            "source": "raw",
            "start_ms": 0,
            "end_ms": 1000,
            "start_s": 0.0,
            "end_s": 1.0,
            "split": "train",
        }
    ],
}


def _write(folder: Path, value: Any) -> Path:
    path = folder / "index.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CorpusIndex, {"entries": [CORPUS]}),
        (VariantIndex, VARIANT),
        (PredictionIndex, {"meta": {"n_preds": 1}, "entries": [{**PREDICTION, "tape": TAPE}]}),
    ],
)
def test_round_trip_keeps_also_unknown_keys(tmp_path: Path, kind: type[CorpusIndex], value: dict[str, Any]) -> None:
    value = {**value, "meta": {**value.get("meta", {}), "field_site": "Höhe 7"}}
    value["entries"][0]["note"] = ["kept"]
    index = read_index(_write(tmp_path, value), kind)
    write_index(tmp_path / "copy.json", index)
    assert read_index(tmp_path / "copy.json", kind) == index
    written = json.loads((tmp_path / "copy.json").read_text())
    assert written["meta"]["field_site"] == "Höhe 7"
    assert value["entries"][0].items() <= written["entries"][0].items()


def test_class_is_written_under_its_own_name(tmp_path: Path) -> None:
    index = read_index(_write(tmp_path, VARIANT), VariantIndex)
    assert index.entries[0].class_ == "noise"
    write_index(tmp_path / "x.json", index)
    assert json.loads((tmp_path / "x.json").read_text())["entries"][0]["class"] == "noise"


@pytest.mark.parametrize(
    ("entry", "tape"),
    [
        ({"tape": TAPE, "recording": "other.wav"}, TAPE),
        ({"recording": f"{TAPE}_900_1800.wav"}, TAPE),
        ({"pred_path": f"a/{TAPE}_900_1800_predict_output.log.annotation.result.txt"}, TAPE),
        ({"pred_path": "a/387_20201207_cut_predict_output.log.annotation.result.txt"}, "387_20201207_cut.wav"),
        ({"pred_path": "a/x_predict_output_predict_output.log.annotation.result.txt"}, "x_predict_output.wav"),
        ({"recording": "b ü.flac"}, "b ü.flac"),
        ({"recording": "X.WAV"}, "X.WAV"),
        ({"recording": f"{TAPE}_notes.wav"}, TAPE),
        ({"recording": "b.flac_10_5.flac"}, "b.flac_10_5.flac"),
    ],
)
def test_an_old_entry_without_tape_gets_it_from_names(entry: dict[str, Any], tape: str) -> None:
    assert PredictionEntry.model_validate({**PREDICTION, **entry}).tape == tape


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"tape_start_s": 901.0, "tape_end_s": 902.0}, (901.0, 902.0)),
        ({"recording": f"{TAPE}_900_1800.wav"}, (901.0, 902.0)),
        ({"recording": TAPE}, (1.0, 2.0)),
        ({"pred_path": f"a/{TAPE}_900_1800_predict_output.log.annotation.result.txt"}, (901.0, 902.0)),
        ({}, (1.0, 2.0)),
    ],
)
def test_tape_times(entry: dict[str, Any], expected: tuple[float, float]) -> None:
    assert PredictionEntry.model_validate({**PREDICTION, "tape": TAPE, **entry}).tape_interval_s() == expected


def test_tape_of_a_hum_comes_from_the_raw_recording_or_the_clips_name() -> None:
    entry = CorpusEntry.model_validate(CORPUS)
    assert (entry.tape, entry.recording) == (TAPE, f"{TAPE}_900_1800.wav")
    other = CorpusEntry.model_validate({**CORPUS, "raw_path": "raw_recordings/whole.wav"})
    assert other.tape == "whole.wav"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "not a PredictionIndex: top level"),
        ({}, "not a PredictionIndex: entries: Field required"),
        (
            {"entries": [{**PREDICTION, "tape": "t", "start_s": "soon"}]},
            "entries.0.start_s: Input should be a valid number",
        ),
        (
            {"entries": [{**PREDICTION, "tape": "t", "end_s": float("nan")}]},
            "entries.0.end_s: Input should be a finite",
        ),
        ({"entries": [{"uid": 1}]}, "entries.0"),
        ({"entries": [7]}, "entries.0"),
    ],
)
def test_another_shape_names_the_field(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(IndexFileError, match=message):
        read_index(_write(tmp_path, value), PredictionIndex)


def test_what_is_not_json_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("")
    with pytest.raises(InputError, match="not JSON"):
        read_index(tmp_path / "x.json", CorpusIndex)


def test_an_index_that_says_the_same_is_left_alone(tmp_path):
    path = tmp_path / "corpus_index.json"
    index = CorpusIndex(meta=CorpusMeta(generated_at="2026-01-01", corpus_name="a"), entries=[])
    assert update_index(path, index)
    later = CorpusIndex(meta=CorpusMeta(generated_at="2026-01-02", corpus_name="a"), entries=[])
    assert not update_index(path, later)
    assert read_index(path, CorpusIndex).meta.generated_at == "2026-01-01"


def test_an_index_that_says_something_else_or_is_damaged_is_replaced(tmp_path):
    path = tmp_path / "corpus_index.json"
    update_index(path, CorpusIndex(meta=CorpusMeta(corpus_name="a"), entries=[]))
    other = CorpusIndex(meta=CorpusMeta(corpus_name="b"), entries=[])
    assert update_index(path, other)
    path.write_text("{broken")
    assert update_index(path, other)
    assert read_index(path, CorpusIndex).meta.corpus_name == "b"
