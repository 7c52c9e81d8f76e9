"""The commands report, plot, export and review-sheet as a person types them."""

import subprocess
import sys

import pytest

from support.evaluated_run import HOSTILE, PLAIN, write_recording, write_run, write_truth

CALLS = {HOSTILE: [(1.0, 1.5)], PLAIN: [(0.5, 0.9)]}
SECONDS = 4.0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("Ä 'ws' $1")
    write_run(root, CALLS, SECONDS)
    for recording, calls in CALLS.items():
        write_recording(root / "data/audio" / recording, calls, SECONDS)
    write_truth(root / "gt.json", {name: [(*call, 2) for call in calls] for name, calls in CALLS.items()}, SECONDS)
    return root


def hum_evaluator(*arguments):
    code = "from hum_evaluator.__main__ import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_report(workspace, tmp_path):
    out, state = tmp_path / "new/report.html", tmp_path / "p.json"
    done = hum_evaluator(
        "report", "--gt", workspace / "gt.json", "--runs", workspace / "BENCHMARK/runs", "--out", out,
        "--audio_dir", workspace / "data/audio", "--progress-file", state,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 results, ")
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert '"state": "done"' in state.read_text(encoding="utf-8")


def test_plot(workspace, tmp_path):
    run = workspace / "BENCHMARK/runs/m/len200_hop050_th50"
    arguments = ["plot", workspace / "data/audio" / HOSTILE, "--scores", workspace / "BENCHMARK/scores/m/len200_hop050"]
    done = hum_evaluator(*arguments, "--index", run / "evaluation/index.json", "--out", tmp_path / "x.svg")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/x.svg\n")
    wrong = hum_evaluator(*arguments, "--start", "99", "--out", tmp_path / "y.png")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert not (tmp_path / "y.png").exists()


def test_export(workspace, tmp_path):
    run = workspace / "BENCHMARK/runs/m/len200_hop050_th50"
    done = hum_evaluator("export", run, "--format", "csv,raven", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raven", "selections.csv"]
    assert hum_evaluator("export", run, "--format", "mp3").returncode == 2


def test_review_sheet(workspace, tmp_path):
    run = workspace / "BENCHMARK/runs/m/len200_hop050_th50"
    done = hum_evaluator("review-sheet", run, "-n", "1", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"1 selections in 1 clips: {tmp_path}/out"
    again = hum_evaluator("review-sheet", run, "-n", "1", "--out", tmp_path / "out")
    assert again.returncode == 2
    assert "maybe with corrections" in again.stderr


@pytest.mark.parametrize("command", ["report", "plot", "export", "review-sheet"])
def test_help_has_an_example(command):
    done = hum_evaluator(command, "--help")
    assert done.returncode == 0
    assert f"Example: hum-evaluator {command}" in done.stdout
