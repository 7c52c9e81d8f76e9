import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_shared.config.cfg import write_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.layout import score_file
from support.score_tracks import write_track

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics.json"
RECORDING = "Ä weide 'x' $HOME.v2.wav"
CALL = [0.1, 0.9, 0.9, 0.1, 0.1]


def hum_evaluator(*arguments):
    code = "from hum_evaluator.__main__ import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def a_run(root):
    """Write a workspace with one recording, its score track and its eval.cfg; return run folder and cfg."""
    run = root / "runs/m/v"
    write_track(run / "prediction", RECORDING, CALL)
    (root / "audio").mkdir()
    soundfile.write(root / "audio" / RECORDING, np.zeros(48_000), 48_000)
    (root / "workspace.toml").touch()
    settings = {"prediction_dir": "runs/m/v/prediction", "output_dir": "runs/m/v/evaluation/annotations"}
    write_cfg(root / "cfg/eval.cfg", EvaluationCfg.model_validate(settings))
    return run, root / "cfg/eval.cfg"


def test_run_tells_what_it_made_and_then_that_nothing_is_left_to_do(tmp_path):
    run, cfg = a_run(tmp_path)
    first, second = (hum_evaluator("run", cfg, "--progress_file", tmp_path / "p.json") for _ in range(2))
    assert (first.returncode, first.stdout) == (0, f"1 selections in 1 recordings: {run}/evaluation/index.json\n")
    assert (second.returncode, second.stdout) == (0, f"nothing to do: {run}/evaluation/index.json is up to date\n")
    assert json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["stage"] == "evaluate"


def test_a_broken_recording_exits_3_with_one_line(tmp_path):
    run, cfg = a_run(tmp_path)
    score_file(run / "prediction", "broken.wav").write_bytes(b"")
    done = hum_evaluator("run", cfg)
    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if line.startswith("error: 1 of 2 recordings failed")]
    assert "Traceback" not in done.stderr


def test_cutouts_follow_a_run(tmp_path):
    run, cfg = a_run(tmp_path)
    hum_evaluator("run", cfg)
    done = hum_evaluator("cutouts", run, "--audio-dir", tmp_path / "audio")
    assert done.returncode == 0, done.stderr
    (path,) = (run / "evaluation/cutouts").iterdir()
    assert path.name == "Ä weide 'x' $HOME.v2_50ms_500ms.wav"


@pytest.mark.parametrize("out_option", ["--per-tape-out", "--per_tape_out"])
def test_compare_prints_a_table_and_writes_both_files(tmp_path, out_option):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    (tmp_path / "gt.json").write_text(json.dumps(golden["gt"]), encoding="utf-8")
    folder = tmp_path / "runs" / "a model [bold]" / ("variant" * 12) / "evaluation"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(golden["pred"]), encoding="utf-8")
    metrics, per_tape = tmp_path / "metrics.csv", tmp_path / "per tape.csv"
    done = hum_evaluator(
        "compare", "--gt", tmp_path / "gt.json", "--runs", tmp_path / "runs", "--out", metrics, out_option, per_tape
    )
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[1]
    assert "a model [bold]" in row
    assert "variant" * 12 in row
    assert row.split()[-7:] == ["67", "63", "0.762", "0.716", "0.738", "178", "197"]
    assert len(metrics.read_text(encoding="utf-8").splitlines()) == 2
    assert len(per_tape.read_text(encoding="utf-8").splitlines()) == 7


def test_tune_prints_a_table_and_then_that_nothing_is_left_to_do(tmp_path):
    entries = [
        {
            "uid": 1,
            "clip_path": f"labelled_recordings/{RECORDING}",
            "dur_s": 0.1,
            "clip_start_s": 0.2,
            "clip_end_s": 0.3,
            "raw_start_s": 0.2,
            "raw_end_s": 0.3,
        }
    ]
    (tmp_path / "gt.json").write_text(json.dumps({"entries": entries}), encoding="utf-8")
    write_track(tmp_path / "scores", RECORDING, CALL)
    arguments = ["tune", "--gt", tmp_path / "gt.json", "--scores", tmp_path / "scores", "--out", tmp_path / "d.json"]
    first, second = (hum_evaluator(*arguments, "--decoder", "union") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[0].split()[:3] == ["decoder", "tried", "F1@0.3"]
    assert first.stdout.splitlines()[1].split()[:2] == ["union", "22"]
    assert first.stdout.splitlines()[-1] == f"best: union; settings of all: {tmp_path}/d.json"
    assert (second.returncode, second.stdout) == (0, f"nothing to do: {tmp_path}/d.json is up to date\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no such.cfg"],
        ["tune", "--gt", "no.json", "--scores", "no"],
        ["run"],
        ["cutouts", "no such run"],
        ["cutouts", ".", "--stage", "prediction"],
        ["compare", "--gt", "no.json", "--runs", "no", "--out", "a", "--per-tape-out", "b"],
        ["compare", "--gt", "no.json", "--runs", "no", "--out", "a", "--per-tape-out", "b", "--iou", "0"],
        ["decode"],
    ],
)
def test_bad_input_exits_2_without_a_stack_trace(arguments):
    done = hum_evaluator(*arguments)
    assert done.returncode == 2
    assert "rror: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["run"], ["compare"], ["tune"], ["cutouts"]])
def test_help_shows_an_example(command):
    done = hum_evaluator(*command, "--help")
    assert done.returncode == 0
    assert "Example: hum-evaluator" in done.stdout


def test_torch_is_never_loaded():
    code = (
        "import pkgutil, importlib, sys, hum_evaluator\n"
        "for module in pkgutil.iter_modules(hum_evaluator.__path__):\n"
        "    importlib.import_module('hum_evaluator.' + module.name)\n"
        "from hum_evaluator.metrics import run_row; run_row([])\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('torch', 'torchaudio')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
