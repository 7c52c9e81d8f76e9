"""Every batch entrypoint can show its own status."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.score_tracks import write_track

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("program", ["hum-trainer", "hum-predictor", "hum-evaluator", "hum-rf-filter"])
def test_every_batch_entrypoint_shows_its_status_until_it_ends(tmp_path: Path, program: str) -> None:
    cfg = tmp_path / "missing.cfg"
    ran = subprocess.run([BIN / program, "run", cfg, "--status-port", "0"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert ran.stdout.startswith("status: http://127.0.0.1:")
    assert "missing.cfg" in ran.stderr


def test_a_run_with_its_status_ends_as_one_without(tmp_path: Path) -> None:
    run = tmp_path / "BENCHMARK" / "runs" / "m" / "v"
    write_track(run / "prediction", "a.wav", [0.1, 0.9, 0.1])
    cfg = tmp_path / "eval.cfg"
    cfg.write_text(f"prediction_dir={run}/prediction\noutput_dir={run}/evaluation/annotations\nthreshold=0.5\n")
    command = [BIN / "hum-evaluator", "run", cfg, "--progress-file", tmp_path / "p.json", "--status-port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "status: http://127.0.0.1:" in ran.stdout
    assert '"state": "done"' in (tmp_path / "p.json").read_text()
