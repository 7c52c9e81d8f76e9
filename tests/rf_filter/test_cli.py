"""The command line: exit codes and what is printed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hum_rf_filter.__main__ import main
from hum_shared.selections import Selection, write_selections
from support.rf_run import tonal_forest, write_recording, write_rf_cfg, write_table


def call(*arguments: object) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hum-rf-filter", *map(str, arguments)])
        patch.setattr("hum_shared.stopping.StopRequest.install", lambda self: self)
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


@pytest.fixture
def run_cfg(tmp_path: Path) -> Path:
    run = tmp_path / "run $1"
    write_recording(tmp_path / "audio" / "a.wav", [(1, 2)])
    write_table(run, "a.wav", [Selection(1, 2, 0, 4000, "target", cnn_logit_mean=1)])
    return write_rf_cfg(tmp_path, run, tonal_forest(tmp_path / "f.skops"))


def test_run_ends_with_0_and_then_has_nothing_to_do(run_cfg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", run_cfg, "--progress-file", run_cfg.parent / "p.json") == 0
    assert "1 of 1 selections kept" in capsys.readouterr().out
    assert call("run", run_cfg) == 0
    assert capsys.readouterr().out.startswith("nothing to do")


def test_bad_input_ends_with_2_and_one_line(run_cfg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_cfg.write_text(run_cfg.read_text() + "rf_treshold=0.5\n")
    assert call("run", run_cfg) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'rf_threshold'" in error


def test_partial_failure_ends_with_3(run_cfg: Path, tmp_path: Path) -> None:
    (run_cfg.parent / "audio" / "a.wav").unlink()
    assert call("run", run_cfg) == 2, "nothing could be done"
    write_recording(tmp_path / "audio" / "b.wav", [(1, 2)])
    write_table(tmp_path / "run $1", "b.wav", [Selection(1, 2, 0, 4000, "target", cnn_logit_mean=1)])
    assert call("run", run_cfg) == 3


def test_a_wrong_option_ends_with_2() -> None:
    assert call("run", "x.cfg", "--nonsense") == 2


def test_extract_and_train_work_together_and_take_underscores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        write_recording(tmp_path / "audio" / f"tape {number}.wav", [(1, 2), (4, 5)], seed=number)
        kinds = {1: "target", 3: "noise", 4: "target", 6: "noise", 8: "noise"}
        rows = [Selection(start, start + 1, sound_type=kind) for start, kind in kinds.items()]
        write_selections(tmp_path / "tables" / f"tape {number}.txt", rows)
    out, forest = tmp_path / "f.csv", tmp_path / "f.skops"
    small = ("--n_fft", 512, "--hop", 256, "--n-mfcc", 3, "--no-deltas")
    code = call(
        *("extract", "--sel_dir", tmp_path / "tables", "--audio-dir", tmp_path / "audio", "--out", out),
        *(*small, "--workers", 1),
    )
    assert code == 0
    assert "15 selections of 3 recordings, 15 labelled" in capsys.readouterr().out
    assert call("train", "--features", out, "--out", forest, "--trees", 10, "--neg-per-pos", 1, *small) == 0
    assert "thresholds (recall_first " in capsys.readouterr().out
    assert forest.exists()


def test_train_takes_either_features_or_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", "--out", tmp_path / "f.skops") == 2
    assert call("train", "--out", tmp_path / "f.skops", "--features", "f.csv", "--runs", "r") == 2
    assert call("train", "--out", tmp_path / "f.skops", "--runs", "r") == 2
    assert capsys.readouterr().err.count("--features") == 3


def test_ctrl_c_while_libraries_load_is_one_line_and_nothing_is_begun(run_cfg: Path) -> None:
    code = """
import signal, sys
sys.argv = ["hum-rf-filter", "run", sys.argv[1]]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "librosa":
            # As Ctrl-C does it; a signal proper may come to rest in a callback whose exceptions Python ignores.
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)

sys.meta_path.insert(0, Interrupt())
from hum_rf_filter.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, run_cfg], capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert done.stderr.count("\n") == 1
    assert "stopped on SIGINT; nothing was begun" in done.stderr
    assert not list(run_cfg.parent.rglob("postrf"))


@pytest.mark.parametrize("command", ["run", "extract", "train"])
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    assert f"hum-rf-filter {command}" in capsys.readouterr().out.partition("Example")[2]


def test_torch_is_never_loaded_not_even_by_reading_or_training_a_forest(tmp_path: Path, run_cfg: Path) -> None:
    code = f"""
import importlib, pkgutil, sys
import hum_rf_filter
for module in pkgutil.iter_modules(hum_rf_filter.__path__):
    importlib.import_module("hum_rf_filter." + module.name)
from pathlib import Path
from hum_rf_filter.run import run_filter
assert run_filter(Path({str(run_cfg)!r})).n_kept == 1
sys.exit(sum(name.partition(".")[0] in ("torch", "torchaudio") for name in sys.modules))
"""
    shutil.rmtree(tmp_path / "run $1" / "postrf", ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
