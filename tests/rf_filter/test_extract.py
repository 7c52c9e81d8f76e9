"""One CSV from a folder of selection tables."""

import math
from pathlib import Path

import pandas as pd
import pytest

from hum_rf_filter.context import SCORE_COLUMNS
from hum_rf_filter.extract import extract_features, label_of
from hum_rf_filter.tables import read_features
from hum_shared.errors import InputError, PartialFailure
from hum_shared.files import read_json
from hum_shared.selections import Selection, write_selections
from support.rf_run import SETTINGS, write_recording
from support.score_tracks import write_track

NAME = "a b'c\"$d ü.v2_20201207_cut.wav_0_10"


def extract(folder: Path) -> pd.DataFrame:
    extract_features(folder / "tables", folder / "audio", folder / "out" / "f.csv", SETTINGS, workers=1)
    return read_features(folder / "out" / "f.csv")


def write(folder: Path, name: str, rows: list[Selection]) -> None:
    write_selections(folder / "tables" / name, rows)


def test_rows_of_all_tables_stand_in_one_csv_with_their_label_last(tmp_path: Path) -> None:
    for name in (f"{NAME}.wav", "tape.wav"):
        write_recording(tmp_path / "audio" / name)
    rows = [Selection(0, 1, sound_type="Target", cnn_logit_mean=0.5), Selection(2, 3, sound_type="noise")]
    write(tmp_path, f"{NAME}_predict_output.log.annotation.result.txt", rows)
    write(tmp_path, "tape.wav.selections.txt", [Selection(1, 2)])
    table = extract(tmp_path)
    assert list(table.columns) == ["wave_file", "selection", "cnn_logit_mean", *SETTINGS.columns, "validated_label"]
    assert table["wave_file"].tolist() == [f"{NAME}.wav", f"{NAME}.wav", "tape.wav"]
    assert table["selection"].tolist() == [1, 2, 1]
    assert table["validated_label"].fillna("").tolist() == ["target", "noise", ""]


def test_there_is_no_label_column_where_no_table_has_labels(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / "a.wav")
    write(tmp_path, "a.txt", [Selection(0, 1)])
    assert "validated_label" not in extract(tmp_path)


def test_a_validated_label_wins_over_the_sound_type() -> None:
    assert label_of(Selection(0, 1, sound_type="target", extra={"Validated Label": " Noise "})) == "noise"
    assert label_of(Selection(0, 1, sound_type="target", extra={"validated_label": ""})) == "target"
    assert label_of(Selection(0, 1)) == ""


def test_empty_tables_give_a_header_and_need_no_recording(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    write(tmp_path, "gone.txt", [])
    table = extract(tmp_path)
    assert len(table) == 0
    assert "mfcc1_mean" in table


def test_what_fails_is_named_and_the_rest_written(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / "good.wav")
    (tmp_path / "audio" / "broken.wav").write_bytes(b"x")
    for name in ("good", "broken", "gone"):
        write(tmp_path, f"{name}.txt", [Selection(0, 1)])
    (tmp_path / "tables" / "odd.txt").write_text("no table")
    with pytest.raises(PartialFailure, match="3 of 4 tables failed"):
        extract(tmp_path)
    assert read_features(tmp_path / "out" / "f.csv")["wave_file"].tolist() == ["good.wav"]
    failures = tmp_path / "out" / "f.csv.failures.json"
    assert sorted(read_json(failures)) == ["broken.txt", "gone.txt", "odd.txt"]
    for name in ("broken", "gone", "odd"):
        (tmp_path / "tables" / f"{name}.txt").unlink()
    extract(tmp_path)
    assert not failures.exists()


def test_scores_fill_their_columns_where_a_recording_has_a_track(tmp_path: Path) -> None:
    for name in (f"{NAME}.wav", "unscored.wav"):
        write_recording(tmp_path / "audio" / name)
        write(tmp_path, f"{name}.txt", [Selection(2, 3)])
    write_track(tmp_path / "scores", f"{NAME}.wav", [0.5] * 193)
    out = tmp_path / "f.csv"
    extract_features(tmp_path / "tables", tmp_path / "audio", out, SETTINGS, tmp_path / "scores", workers=1)
    scored, unscored = read_features(out).to_dict("records")
    assert [scored[name] for name in SCORE_COLUMNS] == [0] * len(SCORE_COLUMNS)
    assert all(math.isnan(unscored[name]) for name in SCORE_COLUMNS)
    assert unscored["duration_s"] == 1


def test_a_folder_of_scores_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / "a.wav")
    write(tmp_path, "a.txt", [Selection(0, 1)])
    with pytest.raises(InputError, match="--scores must be"):
        extract_features(
            tmp_path / "tables", tmp_path / "audio", tmp_path / "f.csv", SETTINGS, tmp_path / "nowhere", workers=1
        )


def test_a_folder_without_tables_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    with pytest.raises(InputError, match="no selection tables"):
        extract(tmp_path)
