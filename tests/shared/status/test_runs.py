"""Runs and their numbers."""

import json
from pathlib import Path

import pytest

from hum_shared.layout import Workspace
from hum_shared.status.inside import Inside
from hum_shared.status.page import best_of_sets
from hum_shared.status.runs import RunFiles, first_value, parse_metrics
from support.status_workspace import HOSTILE, write_run

NAME = HOSTILE.replace("/", "")
METRICS = f"""n_gt,f1,pearson_calls,note,model,variant,layer
90,0.5,,text,m,v,evaluation
90,0.75,nan,text,m,v,postrf
7,1,,,"{NAME.replace('"', '""')}",v,evaluation
"""


def runs_of(root: Path) -> RunFiles:
    return RunFiles(Workspace(root), Inside(root))


def test_both_layers_have_their_numbers(tmp_path: Path) -> None:
    write_run(tmp_path, "m", "v", n=4)
    write_run(tmp_path, "m", "v", "postrf", n=2)
    write_run(tmp_path, NAME, "v")
    (tmp_path / "BENCHMARK" / "metrics.csv").write_text(METRICS, encoding="utf-8")
    runs, problems = runs_of(tmp_path).read()
    assert problems == []
    hostile, run = runs
    assert (run.model, run.variant, run.set, list(run.layers)) == ("m", "v", None, ["evaluation", "postrf"])
    before, after = run.layers["evaluation"], run.layers["postrf"]
    assert (before.n_selections, before.n_recordings, before.hours) == (4, 1, 0.01)
    assert before.metrics == {"n_gt": 90.0, "f1": 0.5, "pearson_calls": None}
    assert (after.n_selections, after.metrics["f1"]) == (2, 0.75)
    assert hostile.model == NAME
    assert hostile.layers["evaluation"].metrics["n_gt"] == 7


def test_without_a_comparison_there_are_no_numbers(tmp_path: Path) -> None:
    write_run(tmp_path, "m", "v")
    assert runs_of(tmp_path).read()[0][0].layers["evaluation"].metrics == {}


def test_runs_of_sets_are_told_apart(tmp_path: Path) -> None:
    write_run(tmp_path, "m", "v")
    sets = tmp_path / "BENCHMARK" / "sets" / "val" / "runs"
    sets.parent.mkdir(parents=True)
    (tmp_path / "BENCHMARK" / "runs").rename(sets)
    write_run(tmp_path, "m", "v")
    assert [run.set for run in runs_of(tmp_path).read()[0]] == [None, "val"]


def test_an_index_is_read_no_further_than_its_head(tmp_path: Path) -> None:
    path = write_run(tmp_path, "m", "v")
    path.write_text(path.read_text().partition('"entries"')[0] + '"entries": [' + "0," * 100_000)
    ((run,), problems) = runs_of(tmp_path).read()
    assert (run.layers["evaluation"].n_selections, problems) == (3, [])


def test_a_head_longer_than_the_first_look_is_read(tmp_path: Path) -> None:
    path = write_run(tmp_path, "m", "v")
    index = json.loads(path.read_text())
    index["meta"]["recordings"] *= 3000
    path.write_text(json.dumps(index, indent=2))
    assert runs_of(tmp_path).read()[0][0].layers["evaluation"].n_recordings == 3000


def test_numbers_of_more_selections_than_there_are_were_made_before_them(tmp_path: Path) -> None:
    write_run(tmp_path, "m", "v", n=4)
    for n_pred, shown in ((4, 4.0), (3, 3.0), (5, None)):
        (tmp_path / "BENCHMARK" / "metrics.csv").write_text(f"n_pred,model,variant,layer\n{n_pred},m,v,evaluation\n")
        assert runs_of(tmp_path).read()[0][0].layers["evaluation"].metrics.get("n_pred") == shown


def test_each_set_has_its_best() -> None:
    rows = [{"set": "", "f1": 0.9}, {"set": "", "f1": None}, {"set": "field", "f1": 0.99}, {"set": "", "f1": 0.95}]
    assert best_of_sets(rows) == {"": 0.95, "field": 0.99}


def test_old_indexes_are_read(tmp_path: Path) -> None:
    path = write_run(tmp_path, "m", "v")
    path.write_text('{"entries": []}')
    layer = runs_of(tmp_path).read()[0][0].layers["evaluation"]
    assert (layer.n_selections, layer.n_recordings, layer.hours) == (None, None, None)


@pytest.mark.parametrize("half", ["\\ud800", "\\udcff"])
def test_half_a_character_in_an_index_keeps_nothing_from_being_sent(tmp_path: Path, half: str) -> None:
    path = write_run(tmp_path, "m", "v")
    path.write_text(path.read_text().replace("2026-01-01T", f"2026-01-01{half}"))
    ((run,), problems) = runs_of(tmp_path).read()
    assert (json.loads(run.model_dump_json())["layers"]["evaluation"]["generated_at"], problems) == (
        "2026-01-01\N{REPLACEMENT CHARACTER}00:00:00+00:00",
        [],
    )


@pytest.mark.parametrize("text", ["", "{", '{"meta": {"n_preds": 3', "[1]", '{"meta": {"n_preds": "many"}}', "\0"])
def test_a_damaged_index_is_named_and_the_others_are_shown(tmp_path: Path, text: str) -> None:
    write_run(tmp_path, "good", "v")
    write_run(tmp_path, "m", "v").write_text(text)
    runs, problems = runs_of(tmp_path).read()
    assert "good" in [run.model for run in runs]
    if text != "[1]":
        assert [problem.partition(":")[0] for problem in problems] == ["BENCHMARK/runs/m/v/evaluation/index.json"]


def test_a_damaged_comparison_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, "m", "v")
    (tmp_path / "BENCHMARK" / "metrics.csv").write_text("half,a\nli")
    runs, problems = runs_of(tmp_path).read()
    assert len(runs) == 1
    assert problems == ["BENCHMARK/metrics.csv: no column 'model'; found: half, a"]


def test_a_comparison_without_rows_has_no_numbers() -> None:
    assert parse_metrics("model,variant,layer,f1\n") == {}


def test_the_head_of_an_index_is_its_meta() -> None:
    assert first_value('\ufeff {"meta": {"a": [1]}, "entries": [') == {"a": [1]}
    assert first_value('{"entries": [], "meta": {"a": 1}}') == {"a": 1}
