"""A run of the filter, on real files."""

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hum_rf_filter import extraction, run_features
from hum_rf_filter.filtering import Kept, filtered_row
from hum_rf_filter.run import run_filter
from hum_rf_filter.tables import write_features
from hum_shared.audio import probe
from hum_shared.errors import AudioError, InputError, ModelError, PartialFailure, Stopped
from hum_shared.files import read_json, sha256_file
from hum_shared.index import PredictionEntry, PredictionIndex, PredictionMeta, RecordingInfo, read_index, write_index
from hum_shared.layout import score_file, table_file
from hum_shared.selections import Selection, read_selections
from hum_shared.stopping import StopRequest
from support.early_signal import told_to_stop_while_importing
from support.rf_run import (
    SETTINGS,
    tonal_forest,
    write_forest_card,
    write_recording,
    write_rf_cfg,
    write_table,
)
from support.score_tracks import write_track

CLIP = "a b'c\"$d ü.v2_20201207_cut.wav_100.5_120.wav"
TAPE = "a b'c\"$d ü.v2_20201207_cut.wav"
HUM, NOISE = (2.0, 3.0), (5.0, 6.0)


@dataclass
class Case:
    workspace: Path
    run: Path
    forest: Path
    cfg: Path

    @property
    def index(self) -> dict:
        return read_json(self.run / "postrf" / "index.json")

    def files(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.run)): p.read_bytes() for p in (self.run / "postrf").rglob("*") if p.is_file()}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """One clip with a hum and a stretch of noise, both selected by the network."""
    run = tmp_path / "runs" / "my model" / "len400_hop050_th90"
    write_recording(tmp_path / "audio" / CLIP, [HUM])
    rows = [
        Selection(*HUM, 0, 4000, "target", "nice one", 1.5, {"Observer": "Müller"}),
        Selection(*NOISE, 0, 4000, "target", "", 0.25, {"Observer": ""}),
    ]
    write_table(run, CLIP, rows)
    forest = tonal_forest(tmp_path / "forest ü.skops")
    return Case(tmp_path, run, forest, write_rf_cfg(tmp_path, run, forest))


def test_filtered_tables_that_a_person_changed_are_kept_aside(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    run_filter(case.cfg)
    table = table_file(case.run / "postrf/annotations", CLIP)
    table.write_text(table.read_text().replace("nice one", "no hum"))
    assert run_filter(case.cfg).up_to_date
    write_table(case.run, CLIP, [Selection(*HUM, 0, 4000, "target")])
    run_filter(case.cfg)
    (aside,) = (case.run / "postrf/edited").iterdir()
    assert "no hum" in (aside / table.name).read_text()
    assert "no hum" not in table.read_text()
    assert "changed by hand" in capsys.readouterr().err


def test_selections_below_the_threshold_are_dropped_and_the_rest_renumbered(case: Case) -> None:
    write_table(case.run, CLIP, [Selection(*NOISE, 0, 4000, "target"), Selection(*HUM, 0, 4000, "target")])
    done = run_filter(case.cfg)
    assert (done.n_selections, done.n_kept) == (2, 1)
    table = table_file(case.run / "postrf" / "annotations", CLIP)
    header, row = table.read_text().splitlines()
    assert header.split("\t")[-3:] == ["CNN logit (mean)", "Sound type", "Comments"]
    assert row.split("\t")[:1] == ["1"]
    assert row.split("\t")[3:5] == ["2", "3"]


@pytest.mark.parametrize(
    ("comments", "filtered"),
    [
        ("", "rf_prob=0.500000"),
        ("rf_prob=0.123456", "rf_prob=0.500000"),
        ("far; rf_prob=0.123456", "far; rf_prob=0.500000"),
        ("far; rf_prob=", "far; rf_prob=0.500000"),
        ("far; rf_prob=0.1; rf_prob=0.2", "far; rf_prob=0.500000"),
        ("rf_prob=0.1 seems low", "rf_prob=0.1 seems low; rf_prob=0.500000"),
    ],
)
def test_a_table_that_was_filtered_before_says_its_probability_once(comments: str, filtered: str) -> None:
    assert filtered_row(Kept(Selection(*HUM, 0, 4000, "target", comments), 0.5)).comments == filtered


def test_a_persons_columns_and_comments_stay(case: Case) -> None:
    run_filter(case.cfg)
    (kept,) = read_selections(table_file(case.run / "postrf" / "annotations", CLIP))
    prob = case.index["entries"][0]["rf_prob"]
    assert kept.comments == f"nice one; rf_prob={prob:.6f}"
    assert kept.extra == {"Observer": "Müller"}
    assert kept.cnn_logit_mean == 1.5


@pytest.mark.parametrize("rows", ["", f"{NOISE[0]}\t{NOISE[1]}\tx\n"])
def test_a_persons_columns_stay_where_no_row_does(case: Case, rows: str) -> None:
    table = table_file(case.run / "evaluation" / "annotations", CLIP)
    table.write_text(f"Begin Time (s)\tEnd Time (s)\tMy note\n{rows}", encoding="utf-8")
    run_filter(case.cfg)
    (header,) = table_file(case.run / "postrf" / "annotations", CLIP).read_text("utf-8").splitlines()
    assert header.split("\t")[-2:] == ["Comments", "My note"]


def test_the_features_of_all_selections_are_written(case: Case) -> None:
    run_filter(case.cfg)
    (path,) = (case.run / "postrf" / "features_py").iterdir()
    assert path.name == table_file(Path(), CLIP).name.removesuffix(".txt") + ".features_all.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["wave_file", "selection", "cnn_logit_mean", *SETTINGS.columns]
    assert [row[:3] for row in rows[1:]] == [[CLIP, "1", "1.5"], [CLIP, "2", "0.25"]]


def test_the_index_names_settings_forest_and_entries(case: Case) -> None:
    run_filter(case.cfg)
    meta, (entry,) = case.index["meta"], case.index["entries"]
    assert meta["rf_model_sha256"] == sha256_file(case.forest)
    assert meta["rf_model"] == str(case.forest)
    assert (meta["features"], meta["rf_threshold"], meta["n_entries"], meta["n_preds"]) == ("all", 0.4, 1, 1)
    assert meta["stft"] == {"n_fft": 512, "hop": 256}
    assert meta["mfcc"] == {"n_mfcc": 13, "include_deltas": True}
    (info,) = meta["recordings"]
    assert (info["name"], info["tape"], info["offset_s"], info["dur_s"]) == (CLIP, TAPE, 100.5, 10)
    assert info["sha256"] == sha256_file(case.workspace / "audio" / CLIP)
    assert entry.pop("rf_prob") >= 0.4
    assert entry == {
        "uid": 1,
        "pred_path": table_file(Path("postrf/annotations"), CLIP).as_posix(),
        "tape": TAPE,
        "recording": CLIP,
        "start_s": 2.0,
        "end_s": 3.0,
        "dur_s": 1.0,
        "tape_start_s": 102.5,
        "tape_end_s": 103.5,
        "label": "target",
        "cnn_logit_mean": 1.5,
        "score_max": None,
        "confidence": None,
    }


def test_what_only_the_evaluation_knows_is_passed_on(case: Case) -> None:
    empty = RecordingInfo(name="empty.wav", tape="empty.wav", offset_s=0, dur_s=7.5, sha256="ab")
    entry = PredictionEntry(
        uid=1, pred_path="x", tape=TAPE, recording=CLIP, start_s=2, end_s=3, dur_s=1, score_max=0.99, confidence=0.9
    )
    index = PredictionIndex(meta=PredictionMeta(recordings=[empty]), entries=[entry])
    write_index(case.run / "evaluation" / "index.json", index)
    run_filter(case.cfg)
    assert case.index["meta"]["recordings"] == [empty.model_dump()]
    assert (case.index["entries"][0]["score_max"], case.index["entries"][0]["confidence"]) == (0.99, 0.9)


def test_entries_are_sorted_by_recording_then_time(case: Case) -> None:
    write_recording(case.workspace / "audio" / "A.wav", [HUM])
    write_table(case.run, "A.wav", [Selection(2.5, 3, sound_type="target"), Selection(*HUM, sound_type="target")])
    run_filter(case.cfg)
    assert [(one["uid"], one["recording"], one["start_s"]) for one in case.index["entries"]] == [
        (1, "A.wav", 2.0),
        (2, "A.wav", 2.5),
        (3, CLIP, 2.0),
    ]


def test_a_second_run_does_nothing_and_says_so(case: Case) -> None:
    run_filter(case.cfg)
    before = case.files()
    progress = case.workspace / "progress.json"
    assert run_filter(case.cfg, progress).up_to_date
    assert case.files() == before
    assert json.loads(progress.read_text())["message"].startswith("nothing to do")
    assert json.loads(progress.read_text())["state"] == "done"


def test_two_runs_from_nothing_write_the_same_bytes_but_time_and_host(case: Case) -> None:
    run_filter(case.cfg)
    first, first_index = case.files(), case.index
    for path in (case.run / "postrf").rglob("*"):
        if path.is_file():
            path.unlink()
    run_filter(case.cfg)
    second, second_index = case.files(), case.index
    for index in (first_index, second_index):
        del index["meta"]["generated_at"], index["meta"]["provenance"]
    assert first_index == second_index
    assert {k: v for k, v in first.items() if "index" not in k} == {k: v for k, v in second.items() if "index" not in k}


@pytest.mark.parametrize("change", ["table", "recording", "threshold", "forest", "output"])
def test_any_change_makes_the_next_run_work(case: Case, change: str) -> None:
    run_filter(case.cfg)
    if change == "table":
        write_table(case.run, CLIP, [Selection(*HUM, 0, 4000, "target")])
    elif change == "recording":
        write_recording(case.workspace / "audio" / CLIP, [HUM], seed=1)
    elif change == "threshold":
        write_rf_cfg(case.workspace, case.run, case.forest, rf_threshold=0.5)
    elif change == "forest":
        tonal_forest(case.forest, SETTINGS.acoustic_columns)
    else:
        table_file(case.run / "postrf" / "annotations", CLIP).unlink()
    assert not run_filter(case.cfg).up_to_date
    assert run_filter(case.cfg).up_to_date


def test_another_threshold_does_not_extract_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    run_filter(case.cfg)

    def never(*_: object) -> None:
        raise AudioError("read again")

    monkeypatch.setattr("hum_rf_filter.extraction.recording_features", never)
    write_rf_cfg(case.workspace, case.run, case.forest, rf_threshold=0)
    assert run_filter(case.cfg).n_kept == 2


def test_an_empty_table_gives_empty_results_even_without_its_recording(case: Case) -> None:
    write_table(case.run, CLIP, [])
    write_table(case.run, "gone.wav", [])
    assert run_filter(case.cfg).n_kept == 0
    assert read_selections(table_file(case.run / "postrf" / "annotations", "gone.wav")) == []
    for path in (case.run / "postrf" / "features_py").iterdir():
        assert path.read_text().count("\n") == 1
    assert case.index["entries"] == []
    assert [one["name"] for one in case.index["meta"]["recordings"]] == [CLIP]
    assert run_filter(case.cfg).up_to_date


def test_an_empty_segment_is_kept_unjudged_with_a_warning(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(case.run, CLIP, [Selection(*HUM, 0, 4000), Selection(50, 51, 0, 4000, comments="late")])
    run_filter(case.cfg)
    judged, unjudged = case.index["entries"]
    assert judged["rf_prob"] is not None
    assert unjudged["rf_prob"] is None
    kept = read_selections(table_file(case.run / "postrf" / "annotations", CLIP))
    assert kept[1].comments == "late; rf_prob="
    assert "1 selections hold no sound" in capsys.readouterr().err


def test_missing_and_broken_recordings_are_named_and_the_others_done(case: Case) -> None:
    write_table(case.run, "gone.wav", [Selection(0, 1)])
    write_table(case.run, "broken.wav", [Selection(0, 1)])
    (case.workspace / "audio" / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(PartialFailure, match="2 of 3 recordings failed"):
        run_filter(case.cfg)
    failures = read_json(case.run / "postrf" / "failures.json")
    assert sorted(failures) == ["broken.wav", "gone"]
    assert "no recording gone" in failures["gone"]
    assert [one["recording"] for one in case.index["entries"]] == [CLIP]
    with pytest.raises(PartialFailure):  # tried again, not taken for done
        run_filter(case.cfg)
    write_recording(case.workspace / "audio" / "gone.wav")
    write_recording(case.workspace / "audio" / "broken.wav")
    assert not run_filter(case.cfg).up_to_date
    assert not (case.run / "postrf" / "failures.json").exists()


def test_a_recording_that_failed_was_not_looked_at(case: Case) -> None:
    gone = RecordingInfo(name="gone.wav", tape="gone.wav", offset_s=0, dur_s=7.5, sha256="ab")
    here = RecordingInfo(name=CLIP, tape=TAPE, offset_s=100.5, dur_s=19.5, sha256=None)
    write_index(
        case.run / "evaluation" / "index.json",
        PredictionIndex(meta=PredictionMeta(recordings=[gone, here]), entries=[]),
    )
    write_table(case.run, "gone.wav", [Selection(0, 1)])
    with pytest.raises(PartialFailure):
        run_filter(case.cfg)
    assert [one["name"] for one in case.index["meta"]["recordings"]] == [CLIP]


def test_a_recording_that_was_replaced_by_one_of_the_same_length_is_filtered_anew(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    audio, index = case.workspace / "audio" / CLIP, case.run / "evaluation" / "index.json"
    known = RecordingInfo(name=CLIP, tape=TAPE, offset_s=100.5, dur_s=probe(audio).dur_s, sha256=sha256_file(audio))
    write_index(index, PredictionIndex(meta=PredictionMeta(recordings=[known]), entries=[]))
    run_filter(case.cfg)
    audio.touch()
    assert run_filter(case.cfg).up_to_date  # newer, but the same
    write_recording(audio, [NOISE])
    os.utime(index, ns=(0, audio.stat().st_mtime_ns - 1))
    (case.run / "postrf" / "export").mkdir()
    assert "warning" not in capsys.readouterr().err
    assert not run_filter(case.cfg).up_to_date
    said = capsys.readouterr().err
    assert f"{CLIP}: was replaced since it was scored" in said
    assert "postrf/export: may be of earlier selections" in said
    assert case.index["meta"]["recordings"][0]["sha256"] == sha256_file(audio)


def test_an_evaluation_made_again_alike_needs_no_new_filter(case: Case) -> None:
    index = case.run / "evaluation" / "index.json"
    for hour in ("a", "b"):  # score tracks name it, so that their bytes differ
        made = {"cfg_sha256": "c" * 64, "inputs": {"a.parquet": hour * 64}, "created_at": hour}
        write_index(index, PredictionIndex(meta=PredictionMeta(provenance=made), entries=[]))
        done = run_filter(case.cfg)
    assert done.up_to_date
    assert case.index["meta"]["evaluation_sha256"] == read_index(index, PredictionIndex).selections_sha256


def test_where_every_recording_fails_nothing_is_changed(case: Case) -> None:
    run_filter(case.cfg)
    before = case.files()
    other = case.workspace / "other audio"
    other.mkdir()
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, audio_dir=str(other))
    with pytest.raises(InputError, match=r"none of 1 recordings can be filtered; nothing was changed. .*no recording"):
        run_filter(cfg)
    assert case.files() == before


def test_a_recording_that_breaks_while_it_is_read_is_named(case: Case) -> None:
    import soundfile

    sound = np.zeros(8000, dtype=np.float32)
    sound[4000] = np.inf
    soundfile.write(case.workspace / "audio" / "inf.wav", sound, 8000, subtype="FLOAT")
    write_table(case.run, "inf.wav", [Selection(0, 1)])
    with pytest.raises(PartialFailure, match=r"inf\.wav"):
        run_filter(case.cfg)


def test_results_of_tables_that_are_gone_are_removed(case: Case) -> None:
    write_recording(case.workspace / "audio" / "other.wav")
    other = write_table(case.run, "other.wav", [Selection(0, 1)])
    run_filter(case.cfg)
    notes = case.run / "postrf" / "annotations" / "my notes.md"
    notes.write_text("mine")
    other.unlink()
    assert not run_filter(case.cfg).up_to_date
    assert not list((case.run / "postrf").rglob("*other*"))
    assert notes.exists()


def test_a_feature_that_the_settings_do_not_give_is_an_error_that_names_it(case: Case) -> None:
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, include_deltas=False)
    with pytest.raises(ModelError, match=r"dd_mfcc13_std.*include_deltas=false"):
        run_filter(cfg)


def test_missing_features_are_filled_where_that_is_allowed(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, include_deltas=False, allow_missing_features=True)
    assert run_filter(cfg).n_selections == 2
    assert "d_mfcc1_mean" in capsys.readouterr().err


def test_a_missing_logit_is_filled_with_one_warning(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(case.run, CLIP, [Selection(*HUM, 0, 4000), Selection(*NOISE, 0, 4000)])
    run_filter(case.cfg)
    warnings = capsys.readouterr().err.count("warning: ")
    assert warnings == 1
    assert [one["cnn_logit_mean"] for one in case.index["entries"]] == [None]


def test_a_stop_keeps_finished_features(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(case.workspace / "audio" / "z.wav")
    write_table(case.run, "z.wav", [Selection(0, 1)])
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    with pytest.raises(Stopped):
        run_filter(case.cfg, stop=stop)
    assert not (case.run / "postrf" / "index.json").exists()
    assert len(list((case.run / "postrf" / "features_py").iterdir())) == 1
    assert not run_filter(case.cfg).up_to_date
    assert len(list((case.run / "postrf" / "features_py").iterdir())) == 2


def test_a_run_without_tables_says_what_to_do_first(case: Case) -> None:
    table_file(case.run / "evaluation" / "annotations", CLIP).unlink()
    with pytest.raises(InputError, match="Run hum-evaluator first"):
        run_filter(case.cfg)


def test_a_missing_audio_folder_is_bad_input(case: Case) -> None:
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, audio_dir=str(case.workspace / "gone"))
    with pytest.raises(InputError, match="no such folder"):
        run_filter(cfg)


def test_worker_processes_give_the_same_result(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(case.workspace / "audio" / "z.wav", [HUM])
    write_table(case.run, "z.wav", [Selection(*HUM, 0, 4000)])
    run_filter(case.cfg)
    before = read_index(case.run / "postrf" / "index.json", PredictionIndex).entries
    for path in (case.run / "postrf").rglob("*.*"):
        path.unlink()
    monkeypatch.setattr(extraction, "WORTH_A_WORKER", 2)  # there are three selections
    run_filter(write_rf_cfg(case.workspace, case.run, case.forest, num_workers=2))
    assert read_index(case.run / "postrf" / "index.json", PredictionIndex).entries == before


def scored_forest(case: Case) -> Path:
    """Write a forest that also wants what only score tracks tell."""
    return write_rf_cfg(case.workspace, case.run, tonal_forest(case.forest, ("cnn_logit_mean", *SETTINGS.columns)))


def test_a_forest_that_wants_scores_refuses_a_run_without_and_names_what_to_set(case: Case) -> None:
    cfg = scored_forest(case)
    wanted = "cnn_logit_max, cnn_logit_min, cnn_logit_centre, cnn_logit_before, cnn_logit_after, cnn_logit_rise"
    with pytest.raises(ModelError, match=f"{wanted}, but rf.cfg names no scores_dir"):
        run_filter(cfg)
    folder = case.workspace / "scores"
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, scores_dir=str(folder))
    with pytest.raises(ModelError, match=r"scores_dir=.*scores holds no score track of a b'c"):
        run_filter(cfg)


def test_scores_stand_in_the_features_and_another_track_extracts_again(case: Case) -> None:
    scored_forest(case)
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, scores_dir="scores")
    (case.workspace / "workspace.toml").touch()
    write_track(case.workspace / "scores", CLIP, np.full(193, 0.5))
    run_filter(cfg)
    (path,) = (case.run / "postrf" / "features_py").iterdir()
    with path.open(newline="") as file:
        row = next(csv.DictReader(file))
    assert [float(row[name]) for name in ("cnn_logit_max", "cnn_logit_before", "duration_s")] == [0, 0, 1]
    assert float(row["level_above_db"]) > 15
    assert run_filter(cfg).up_to_date
    write_track(case.workspace / "scores", CLIP, np.full(193, 0.5), inputs_sha256="d" * 64)
    assert not run_filter(cfg).up_to_date


def test_missing_scores_are_filled_where_that_is_allowed(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    scored_forest(case)
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, allow_missing_features=True)
    assert run_filter(cfg).n_selections == 2
    assert "filled with the training median (0 where unknown): cnn_logit_max" in capsys.readouterr().err


def test_a_broken_score_track_is_a_failure_of_its_recording(case: Case) -> None:
    (case.workspace / "scores").mkdir()
    score_file(case.workspace / "scores", CLIP).write_bytes(b"no track")
    write_recording(case.workspace / "audio" / "other.wav")
    write_table(case.run, "other.wav", [Selection(0, 1)])
    with pytest.raises(PartialFailure, match="not a score track"):
        run_filter(write_rf_cfg(case.workspace, case.run, case.forest, scores_dir=str(case.workspace / "scores")))


def test_the_cards_threshold_is_used_where_the_cfg_says_so(case: Case) -> None:
    write_forest_card(case.forest, recommended={"threshold": 0.0, "reason": ""})
    assert run_filter(case.cfg).n_kept == 1
    cfg = write_rf_cfg(case.workspace, case.run, case.forest, use_card_threshold=True)
    assert run_filter(cfg).n_kept == 2
    assert case.index["meta"]["rf_threshold"] == 0
    assert run_filter(cfg).up_to_date
    write_forest_card(case.forest)  # recommends nothing
    assert run_filter(cfg).n_kept == 1
    assert case.index["meta"]["rf_threshold"] == 0.4


def test_the_cards_calibration_makes_votes_probabilities(case: Case) -> None:
    run_filter(case.cfg)
    (votes,) = (entry["rf_prob"] for entry in case.index["entries"])
    write_forest_card(
        case.forest, calibration={"method": "isotonic", "n_rows": 9, "votes": [0, 1], "probabilities": [0.5, 0.6]}
    )
    assert run_filter(case.cfg).n_kept == 2
    assert case.index["entries"][0]["rf_prob"] == pytest.approx(0.5 + 0.1 * votes, abs=1e-6)


def test_a_signal_while_libraries_are_imported_ends_with_75(case: Case) -> None:
    assert told_to_stop_while_importing("hum_rf_filter.__main__", "sklearn", "run", str(case.cfg)) == 75
    assert not (case.run / "postrf" / "index.json").exists()


def test_features_of_a_killed_run_with_other_settings_are_not_taken_for_right_ones(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_filter(case.cfg)
    right, text = case.files(), case.cfg.read_text(encoding="utf-8")

    def killed(file: Path, table: pd.DataFrame) -> None:
        write_features(file, table)
        raise KeyboardInterrupt  # before it is noted what they were made from

    case.cfg.write_text(text.replace(f"hop={SETTINGS.hop}", "hop=64"), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(run_features, "write_features", killed)
        with pytest.raises(KeyboardInterrupt):
            run_filter(case.cfg)
    case.cfg.write_text(text, encoding="utf-8")
    run_filter(case.cfg)
    found = case.files()
    names = [name for name in right if "features_py" in name]
    assert names
    assert {name: found[name] for name in names} == {name: right[name] for name in names}
