"""The report as a file: no runs, one run, fifty runs, without ground truth, hostile names, what is missing."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from hum_evaluator.report.build import Request, make_report
from hum_shared.errors import IndexFileError, InputError
from support.evaluated_run import HOSTILE, PLAIN, add_forest_layer, write_recording, write_run, write_truth

TRUE = {HOSTILE: [(1.0, 1.5, 3), (3.0, 4.0, 2), (8.0, 8.6, 3)], PLAIN: [(0.5, 0.9, 1), (6.0, 6.5, None)]}
FOUND = {HOSTILE: [(1.0, 1.5), (3.0, 4.0), (5.0, 5.5)], PLAIN: [(0.5, 0.9), (2.0, 2.5)]}
SECONDS = 10.0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("Ä 'ws' $1")
    add_forest_layer(write_run(root, FOUND, SECONDS))
    for recording, calls in TRUE.items():
        write_recording(root / "data/audio" / recording, [call[:2] for call in calls], SECONDS)
    write_truth(root / "gt.json", TRUE, SECONDS)
    summaries = root / "TRAINING/runs/models/m/summaries"
    summaries.mkdir(parents=True)
    (summaries / "curves.csv").write_text("epoch,train_loss,val_loss,val_f1\n1,0.9,0.8,0.1\n2,0.4,0.5,0.7\n")
    return root


class Page(HTMLParser):
    """Collects text and tags, and notes tags that do not close in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.unbalanced, self.tags, self.words = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "input", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(root, out, **more):
    request = Request(**{"runs": root / "BENCHMARK/runs", "gt": root / "gt.json", "gallery": 2, **more})
    done = make_report(request, out)
    return done, Page(out.read_text(encoding="utf-8"))


def test_the_report_says_which_run_where_it_fails_and_carries_sound(workspace, tmp_path):
    done, page = report(workspace, tmp_path / "report.html")
    assert (done.n_layers, done.warnings, page.unbalanced) == (2, (), [])
    assert "Use this run m len200_hop050_th50 evaluation" in page.text
    assert "It finds 3 of 5 calls (60 %) with 2 false alarms" in page.text
    assert "Of 2 missed calls: 2 × nothing was selected here." in page.text
    assert "Only 5 true calls" in page.text
    assert "What the forest (layer postrf) gains" in page.text
    sounds = [attrs for tag, attrs in page.tags if tag == "audio"]
    assert len(sounds) >= 6
    assert all(attrs["src"].startswith("data:audio/mpeg;base64,") for attrs in sounds)
    scores = [attrs["points"] for tag, attrs in page.tags if attrs.get("class") == "score"]
    assert len(scores) == len(sounds)
    assert all(points.count(",") > 20 for points in scores)
    assert {attrs["id"] for tag, attrs in page.tags if tag == "section"} == {
        "summary", "comparison", "curves", "detail", "training", "provenance",
    }  # fmt: skip


def test_nothing_is_loaded_from_elsewhere_and_names_stay_text(workspace, tmp_path):
    _, page = report(workspace, tmp_path / "report.html")
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, name)
        assert not [name for name in attrs if name.startswith("on")]
        assert tag not in ("link", "iframe", "object", "embed", "img")
    assert "<img src=x onerror=boom()> 'x' $HOME \"q\" {{ 7*7 }}" in page.text


def test_the_same_input_gives_the_same_bytes_but_provenance(workspace, tmp_path):
    def content(name):
        report(workspace, tmp_path / name)
        return re.sub(r"<!-- provenance:.*?<!-- … and here -->", "", (tmp_path / name).read_text("utf-8"), flags=re.S)

    assert content("a.html") == content("b.html")


def test_without_truth_there_are_counts_rates_confidence_and_a_gallery(workspace, tmp_path):
    done, page = report(workspace, tmp_path / "report.html", gt=None)
    assert done.n_layers == 2
    assert "There is no ground truth" in page.text
    assert "Surest" in page.text
    assert "Least sure" in page.text
    assert "Use this run" not in page.text
    assert "F1" not in page.text.replace("val F1", "")
    assert [attrs for tag, attrs in page.tags if tag == "audio"]


def test_without_runs_the_report_says_so(workspace, tmp_path):
    (tmp_path / "runs").mkdir()
    done, page = report(workspace, tmp_path / "report.html", runs=tmp_path / "runs")
    assert done.n_layers == 0
    assert [warning for warning in done.warnings if "no runs" in warning]
    assert "No runs yet" in page.text
    assert page.unbalanced == []


def test_a_run_that_found_nothing_is_reported(workspace, tmp_path):
    root = tmp_path / "ws"
    write_run(root, {PLAIN: []}, SECONDS)
    write_truth(root / "gt.json", {PLAIN: TRUE[PLAIN]}, SECONDS)
    _, page = report(root, tmp_path / "report.html")
    assert "It finds 0 of 2 calls (0 %) with 0 false alarms" in page.text
    assert "No run finds anything" in page.text


def test_fifty_runs_stay_small(workspace, tmp_path):
    source = workspace / "BENCHMARK/runs/m/len200_hop050_th50"
    for number in range(25):
        for layer in ("evaluation", "postrf"):
            target = tmp_path / "runs" / f"model{number:02d}" / "len200_hop050_th50" / layer
            target.mkdir(parents=True)
            shutil.copy(source / layer / "index.json", target)
    done, page = report(
        workspace, tmp_path / "report.html", runs=tmp_path / "runs", audio_dir=workspace / "data/audio",
        scores=workspace / "BENCHMARK/scores/m/len200_hop050",
    )  # fmt: skip
    assert done.n_layers == 50
    assert done.n_bytes < 15_000_000
    assert len([1 for tag, attrs in page.tags if tag == "tr" and "data-layer" in attrs]) == 50


def test_scores_may_lie_elsewhere(workspace, tmp_path):
    shutil.copytree(workspace / "BENCHMARK/scores", tmp_path / "scores")
    shutil.copytree(workspace / "BENCHMARK/runs", tmp_path / "ws/runs")
    _, page = report(
        workspace, tmp_path / "report.html", runs=tmp_path / "ws/runs", scores=tmp_path / "scores",
        audio_dir=workspace / "data/audio",
    )  # fmt: skip
    assert [1 for tag, attrs in page.tags if attrs.get("class") == "score"]
    _, without = report(
        workspace, tmp_path / "report.html", runs=tmp_path / "ws/runs", audio_dir=workspace / "data/audio"
    )
    assert not [1 for tag, attrs in without.tags if attrs.get("class") == "score"]
    assert [1 for tag, attrs in without.tags if attrs.get("class") == "spectrogram"]


def test_media_beyond_the_limit_are_left_out_and_told(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("hum_evaluator.report.build._MOST_BYTES", 6_560_000)
    done, page = report(workspace, tmp_path / "report.html")
    assert [warning for warning in done.warnings if "pictures were left out" in warning]
    assert "pictures were left out" in page.text


def test_missing_recordings_and_tapes_are_told_not_hidden(workspace, tmp_path):
    (tmp_path / "audio").mkdir()
    truth = {**TRUE, "never.wav": [(1.0, 2.0, 3)]}
    write_truth(tmp_path / "gt.json", truth, SECONDS)
    done, page = report(workspace, tmp_path / "report.html", audio_dir=tmp_path / "audio", gt=tmp_path / "gt.json")
    assert [warning for warning in done.warnings if "never scored: never.wav" in warning]
    assert [warning for warning in done.warnings if "no recording" in warning]
    assert "recording not at hand" in page.text
    assert "its recording was never scored" in page.text


def test_a_run_outside_a_workspace_is_reported_without_pictures(workspace, tmp_path):
    target = tmp_path / "runs/m/v/evaluation"
    target.mkdir(parents=True)
    shutil.copy(workspace / "BENCHMARK/runs/m/len200_hop050_th50/evaluation/index.json", target)
    done, _ = report(workspace, tmp_path / "report.html", runs=tmp_path / "runs")
    assert [warning for warning in done.warnings if "Name --audio-dir" in warning]


def test_an_old_index_is_reported(workspace, tmp_path):
    entry = {"uid": 1, "pred_path": f"evaluation/annotations/{PLAIN[:-4]}_predict_output.log.annotation.result.txt",
             "start_s": 0.5, "end_s": 0.9, "dur_s": 0.4}  # fmt: skip
    target = tmp_path / "runs/m/v/evaluation"
    target.mkdir(parents=True)
    (target / "index.json").write_text(json.dumps({"entries": [entry]}), encoding="utf-8")
    done, page = report(workspace, tmp_path / "report.html", runs=tmp_path / "runs", audio_dir=workspace / "data/audio")
    assert done.n_layers == 1
    assert "It finds 1 of 5 calls" in page.text


def test_broken_input_is_refused(workspace, tmp_path):
    with pytest.raises(InputError, match="no such folder; --runs"):
        report(workspace, tmp_path / "report.html", runs=tmp_path / "none")
    with pytest.raises(InputError, match="no such folder"):
        report(workspace, tmp_path / "report.html", scores=tmp_path / "none")
    target = tmp_path / "runs/m/v/evaluation"
    target.mkdir(parents=True)
    (target / "index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(IndexFileError, match=r"index\.json"):
        report(workspace, tmp_path / "report.html", runs=tmp_path / "runs")
    assert not (tmp_path / "report.html").exists()


def test_where_scores_of_a_recording_are_lost_there_is_no_curve_and_a_warning(workspace, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(workspace, root)
    for track in [*root.rglob("*_predict_output.parquet")][:1]:
        track.write_bytes(b"damaged")
    done, page = report(root, tmp_path / "out.html")
    assert any("no curve of precision over recall" in warning for warning in done.warnings)
    assert page.unbalanced == []
