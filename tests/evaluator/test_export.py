import csv
import json
from datetime import datetime
from pathlib import Path

import crowsetta
import pyarrow.parquet as pq
import pytest

from hum_evaluator.export import FORMATS, export, parse_formats
from hum_evaluator.export.rows import read_run
from hum_shared.config.evaluation import EXPORT_FORMATS
from hum_shared.errors import InputError
from hum_shared.index import PredictionIndex, read_index
from hum_shared.names import recording_stem
from hum_shared.selections import read_selections, write_selections
from support.evaluated_run import HOSTILE, PLAIN, add_forest_layer, write_run

CALLS = {HOSTILE: [(1.0, 1.5), (3.0, 4.0)], PLAIN: [(0.5, 0.9)], "empty.wav": []}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("ws"), CALLS, 6.0)


def entries_of(run, stage="evaluation"):
    return read_index(run / stage / "index.json", PredictionIndex).entries


def test_every_format_of_eval_cfg_has_a_writer():
    assert tuple(FORMATS) == EXPORT_FORMATS


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, used by crowsetta
def test_raven_tables_are_read_back_by_crowsetta_and_by_us(run, tmp_path):
    export(run, "evaluation", ["raven"], tmp_path)
    path = tmp_path / "raven" / f"{recording_stem(HOSTILE)}.Table.1.selections.txt"
    boxes = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Sound type").to_bbox()
    expected = [entry for entry in entries_of(run) if entry.recording == HOSTILE]
    assert [(box.onset, box.offset, box.label) for box in boxes] == [(e.start_s, e.end_s, e.label) for e in expected]
    assert {(box.low_freq, box.high_freq) for box in boxes} == {(100.0, 4000.0)}
    rows = read_selections(path)
    assert [(row.begin_s, row.end_s, row.sound_type) for row in rows] == [
        (e.start_s, e.end_s, e.label) for e in expected
    ]
    assert {row.extra["Begin File"] for row in rows} == {HOSTILE}


def test_a_recording_without_selections_gets_a_table_with_the_header_alone(run, tmp_path):
    export(run, "evaluation", ["raven", "audacity"], tmp_path)
    assert read_selections(tmp_path / "raven" / "empty.Table.1.selections.txt") == []
    assert (tmp_path / "audacity" / "empty.txt").read_text() == ""


def test_the_table_of_all_recordings_counts_time_from_file_to_file(run, tmp_path):
    export(run, "evaluation", ["raven"], tmp_path)
    rows = read_selections(tmp_path / "raven" / "all_recordings.txt")
    lengths = {
        info.name: info.dur_s for info in read_index(run / "evaluation/index.json", PredictionIndex).meta.recordings
    }
    order = sorted(lengths)
    for row, entry in zip(rows, sorted(entries_of(run), key=lambda e: (e.recording, e.start_s)), strict=True):
        before_s = sum(lengths[name] for name in order[: order.index(entry.recording)])
        assert row.begin_s == pytest.approx(before_s + entry.start_s)
        assert float(row.extra["File Offset (s)"]) == entry.start_s
        assert row.extra["Begin File"] == entry.recording
    assert [row.begin_s for row in rows] == sorted(row.begin_s for row in rows)


def test_audacity_labels_are_read_back_by_crowsetta(run, tmp_path):
    export(run, "evaluation", ["audacity"], tmp_path)
    path = tmp_path / "audacity" / f"{recording_stem(HOSTILE)}.txt"
    labels = crowsetta.formats.seq.AudSeq.from_file(path)
    expected = [entry for entry in entries_of(run) if entry.recording == HOSTILE]
    assert labels.start_times.tolist() == [entry.start_s for entry in expected]
    assert labels.end_times.tolist() == [entry.end_s for entry in expected]
    assert list(labels.labels) == [entry.label for entry in expected]


def test_csv_parquet_and_json_say_the_same(run, tmp_path):
    export(run, "evaluation", ["csv", "parquet", "json"], tmp_path)
    with (tmp_path / "selections.csv").open(encoding="utf-8", newline="") as file:
        from_csv = list(csv.DictReader(file))
    from_parquet = pq.read_table(tmp_path / "selections.parquet").to_pylist()
    from_json = json.loads((tmp_path / "selections.json").read_text(encoding="utf-8"))["selections"]
    assert len(from_csv) == len(from_parquet) == len(from_json) == len(entries_of(run))
    for a, b, c in zip(from_csv, from_parquet, from_json, strict=True):
        assert list(a) == list(b) == list(c)
        assert (a["recording"], float(a["start_s"]), float(a["cnn_logit_mean"])) == (
            b["recording"], b["start_s"], b["cnn_logit_mean"],
        )  # fmt: skip
        assert {name: value for name, value in b.items() if not name.endswith("_clock")} == {
            name: value for name, value in c.items() if not name.endswith("_clock")
        }


def test_wall_clock_times_come_from_the_name_and_count_over_midnight(run, tmp_path):
    export(run, "evaluation", ["parquet", "csv"], tmp_path)
    rows = pq.read_table(tmp_path / "selections.parquet").to_pylist()
    hostile = next(row for row in rows if row["recording"] == HOSTILE)
    # The tape starts at 22:59:00, the clip 900 s later.
    begin_ms = round(hostile["start_s"] * 1000)
    assert hostile["start_clock"] == datetime(2020, 12, 7, 23, 14, begin_ms // 1000, begin_ms % 1000 * 1000)
    assert next(row for row in rows if row["recording"] == PLAIN)["start_clock"] is None
    assert "2020-12-07T23:14:0" in (tmp_path / "selections.csv").read_text(encoding="utf-8")


def test_the_forests_layer_carries_its_probabilities(run, tmp_path):
    add_forest_layer(run)
    files = export(run, "postrf", ["json", "raven"])
    assert {file.relative_to(run).parts[:2] for file in files} == {("postrf", "export")}
    rows = json.loads(files[0].read_text(encoding="utf-8"))["selections"]
    assert [row["rf_prob"] for row in rows] == [
        e.rf_prob for e in sorted(entries_of(run, "postrf"), key=lambda e: e.recording)
    ]
    assert "rf_prob=" in (files[1].parent / "all_recordings.txt").read_text(encoding="utf-8")


def test_an_old_index_without_recordings_is_exported_without_the_table_of_all(tmp_path):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0)
    path = run / "evaluation/index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    for entry in index["entries"]:
        entry.pop("recording")
    path.write_text(json.dumps({"entries": index["entries"]}), encoding="utf-8")
    files = export(run, "evaluation", ["raven"])
    assert [file.name for file in files] == ["388_20210115_cut.Table.1.selections.txt"]


def test_a_missing_table_is_named(tmp_path):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0)
    next((run / "evaluation/annotations").iterdir()).unlink()
    with pytest.raises(InputError, match=r"no such table, but the index names it"):
        export(run, "evaluation", ["csv"])


def test_run_writes_the_formats_that_eval_cfg_asks_for_and_is_then_done(tmp_path):
    from hum_evaluator.run import evaluate

    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0, export="csv, audacity")
    assert sorted(path.name for path in (run / "evaluation/export").iterdir()) == ["audacity", "selections.csv"]
    cfg = tmp_path / "BENCHMARK/cfg/m/len200_hop050_th50/eval.cfg"
    assert evaluate(cfg).up_to_date
    (run / "evaluation/export/selections.csv").unlink()
    assert not evaluate(cfg).up_to_date
    assert (run / "evaluation/export/selections.csv").is_file()


def test_exports_of_earlier_selections_are_told_of_and_not_taken_for_current(tmp_path):
    from hum_evaluator.run import evaluate

    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0, export="csv, raven", threshold=0.5)
    table, cfg = run / "evaluation/export/selections.csv", tmp_path / "BENCHMARK/cfg/m/len200_hop050_th50/eval.cfg"
    before = table.read_text(encoding="utf-8")
    cfg.write_text(cfg.read_text().replace("threshold=0.5", "threshold=0.99").replace("export=csv, raven", "export="))
    (note,) = evaluate(cfg).notes
    assert "raven, selections.csv may be of earlier selections" in note
    assert table.read_text(encoding="utf-8") == before  # somebody may have worked on it
    cfg.write_text(cfg.read_text().replace("export=", "export=csv"))
    (note,) = evaluate(cfg).notes
    assert "export: raven may be" in note
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1
    assert evaluate(cfg).up_to_date


@pytest.mark.parametrize("elsewhere", [False, True])
def test_exported_tables_that_were_corrected_are_kept(tmp_path, capsys, elsewhere):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0)
    out = tmp_path / "elsewhere" if elsewhere else None
    table, combined = export(run, "evaluation", ["raven"], out)
    table.write_text(table.read_text(encoding="utf-8") + "mine\n", encoding="utf-8")
    assert export(run, "evaluation", ["raven"], out) == [table, combined]
    assert "holds 1 exported files that were changed by hand" in capsys.readouterr().err
    (kept,) = (table.parents[1] / "edited").rglob("*.txt")
    assert kept.read_text(encoding="utf-8").endswith("mine\n")
    assert "mine" not in table.read_text(encoding="utf-8")
    export(run, "evaluation", ["raven"], out)
    assert "by hand" not in capsys.readouterr().err


def test_corrected_tables_stay_where_they_are_when_nothing_takes_their_place(tmp_path, capsys):
    from hum_evaluator.run import evaluate

    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0, threshold=0.5)
    table, _ = export(run, "evaluation", ["raven"])
    table.write_text(table.read_text(encoding="utf-8") + "mine\n", encoding="utf-8")
    export(run, "evaluation", ["csv"])
    cfg = tmp_path / "BENCHMARK/cfg/m/len200_hop050_th50/eval.cfg"
    cfg.write_text(cfg.read_text().replace("threshold=0.5", "threshold=0.6"))
    assert not evaluate(cfg).up_to_date
    assert table.read_text(encoding="utf-8").endswith("mine\n")
    assert "by hand" not in capsys.readouterr().err


def test_a_forest_layer_of_an_earlier_evaluation_is_told_of(tmp_path, capsys):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9), (1.5, 1.9)]}, 3.0)
    add_forest_layer(run)
    export(run, "postrf", ["csv"])
    assert "postrf" not in capsys.readouterr().err
    path = run / "evaluation/index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**index, "entries": index["entries"][:1]}), encoding="utf-8")
    export(run, "postrf", ["csv"])
    assert "1 of 2 postrf selections are not in its evaluation" in capsys.readouterr().err


def test_a_table_that_was_corrected_says_nothing_of_frequencies(tmp_path, capsys):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)], HOSTILE: [(0.5, 0.9)]}, 3.0)
    one, other = sorted((run / "evaluation/annotations").iterdir())
    limits = [(row.low_hz, row.high_hz) for row in read_selections(other)]
    write_selections(one, [])
    assert {(row.low_hz, row.high_hz) for row in read_run(run, "evaluation").rows} == set(limits)
    assert "1 tables were changed by hand" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", ",", "raven,mp3"])
def test_unknown_formats_are_refused(text):
    with pytest.raises(InputError, match="known: raven, audacity, csv, parquet, json"):
        parse_formats(text)


def test_files_are_the_same_every_time(run, tmp_path):
    def content(folder: Path) -> dict[str, bytes]:
        export(run, "evaluation", EXPORT_FORMATS, folder)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_counts_tell_what_was_searched_in_every_hour_and_what_was_found(tmp_path):
    recordings = {HOSTILE: [(1.0, 1.5), (70.0, 71.0), (72.0, 73.0)], "empty.wav": []}
    run = write_run(tmp_path, recordings, 100.0)
    (path,) = export(run, "evaluation", ["counts"], tmp_path / "out")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["recording"], row["hour_clock"], row["n_selections"]) for row in csv.DictReader(file)]
        file.seek(0)
        searched_s = [float(row["searched_s"]) for row in csv.DictReader(file)]
    # The tape starts at 22:59:00, the clip 900 s later, at 23:14:00.
    assert rows == [("empty.wav", "", "0"), (HOSTILE, "2020-12-07T23:00:00", "3")]
    assert searched_s == [100.0, 100.0]


def test_an_hour_begins_with_the_clock(tmp_path):
    name = "20240507_235930.wav"
    run = write_run(tmp_path, {name: [(1.0, 1.5), (70.0, 71.0), (72.0, 73.0)]}, 100.0)
    (path,) = export(run, "evaluation", ["counts"], tmp_path / "out")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{**row} for row in csv.DictReader(file)]
    columns = ("hour_start_s", "hour_clock", "searched_s", "n_selections", "per_hour")
    assert [[row[column] for column in columns] for row in rows] == [
        ["-3570.0", "2024-05-07T23:00:00", "30.0", "1", "120.0"],
        ["30.0", "2024-05-08T00:00:00", "70.0", "2", "102.857"],
    ]


@pytest.mark.parametrize("n_moved", [0, 1])
def test_an_interrupted_export_is_told_from_what_a_person_changed(tmp_path, monkeypatch, capsys, n_moved):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)], "z.wav": [(0.5, 0.9)]}, 3.0)
    first, second, _ = export(run, "evaluation", ["raven"])
    add_forest_layer(run)  # gives other numbers
    moved = []

    def killed(path, target, replace=Path.replace):
        if ".writing" in path.parts:
            if len(moved) == n_moved:
                raise KeyboardInterrupt
            moved.append(target)
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            export(run, "evaluation", ["raven"])
    second.write_text(second.read_text(encoding="utf-8") + "mine\n", encoding="utf-8")
    export(run, "evaluation", ["raven"])
    assert "holds 1 exported files that were changed by hand, the first is raven/z.Table" in capsys.readouterr().err
    (kept,) = (run / "evaluation/export/edited").rglob("*.txt")
    assert kept.name == second.name
    assert first.is_file()
    assert not (run / "evaluation/export/.writing").exists()


def test_a_refused_export_forgets_nothing_and_leaves_nothing(tmp_path, capsys):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0)
    (table,) = export(run, "evaluation", ["csv"])
    index = run / "evaluation/index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    content["meta"]["recordings"] = None
    index.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="does not say which recordings were searched"):
        export(run, "evaluation", ["csv", "counts"])
    assert [path.name for path in table.parent.iterdir()] == ["selections.csv"]
    table.write_text("mine\n", encoding="utf-8")
    export(run, "evaluation", ["csv"])
    assert "changed by hand" in capsys.readouterr().err


def test_what_was_found_outside_what_was_searched_is_counted_and_has_no_rate(tmp_path):
    run = write_run(tmp_path, {PLAIN: [(0.5, 0.9)]}, 3.0)
    index = run / "evaluation/index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    (entry,) = content["entries"]
    late = {"start_s": 4000.0, "end_s": 4001.0, "tape_start_s": 4000.0, "tape_end_s": 4001.0}
    content["entries"].append({**entry, "uid": 2, **late})
    index.write_text(json.dumps(content), encoding="utf-8")
    (path,) = export(run, "evaluation", ["counts"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["searched_s"], row["n_selections"], row["per_hour"]) for row in csv.DictReader(file)]
    assert rows == [("3.0", "1", "1200.0"), ("0.0", "1", "")]
