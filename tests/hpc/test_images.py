"""The images as a cluster runs them: read-only, under another uid, without network, home or environment."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.corpora import repeat
from support.images import ROOT, SERVICES, Images
from support.private_cluster import CannotRun
from support.tiny_workspace import make_tiny_workspace

LIMITS_MB = {"trainer": 700, "predictor": 700, "evaluator": 300, "rf_filter": 500}
TORCH = ("trainer", "predictor")
RUN = "BENCHMARK/runs/a/len400_hop100_th50"
CFG = "BENCHMARK/cfg/a/len400_hop100_th50"
TRAIN_CFG = "TRAINING/cfg/a/alpaca_server.cfg"


@pytest.fixture(scope="module")
def images() -> Images:
    """The built images. Where they must be there (HUM_HPC_REQUIRED), not having them is a failure."""
    try:
        return Images()
    except CannotRun as reason:
        if os.environ.get("HUM_HPC_REQUIRED"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def workspace(images: Images) -> Iterator[Path]:
    """A workspace in which the images have trained, scored, decoded and filtered, and nothing else has computed."""
    with tempfile.TemporaryDirectory(prefix="hum images 'ü' ", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        root = make_tiny_workspace(Path(folder) / "my $HOME, 50%")
        images.give(root)

        def call(service: str, *command: str) -> str:
            # What a batch script tells each of its tasks.
            env = {"HUM_IMAGE_SHA256": images.sums()[service], "OMP_NUM_THREADS": "1"}
            done = images.run(service, *command, workspace=root, action=("run",), env=env)
            assert done.returncode == 0, f"{service} {command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            (root / f"{service}.out").write_text(done.stdout)
            return done.stdout

        def factory(*command: str) -> None:
            subprocess.run([Path(sys.executable).parent / "hum-slurm", *command], cwd=root, check=True)
            images.give(root)

        call("trainer", "index-corpus", "data/training_corpus")
        call("trainer", "index-corpus", "data/benchmark_corpus")
        call("trainer", "prepare", "data/training_corpus", "--config", "dataset_prep.json")
        factory("training")
        call("trainer", "run", TRAIN_CFG)
        factory("benchmark")
        call("predictor", "run", f"{CFG}/predict.cfg")
        call("evaluator", "run", f"{CFG}/eval.cfg")
        call(
            "rf_filter", "train", "--gt", "data/benchmark_corpus/corpus_index.json", "--runs", "BENCHMARK/runs",
            "--audio-dir", "data/benchmark_corpus/labelled_recordings", "--out", "TRAINING/rf/forest.skops",
        )  # fmt: skip
        factory("rf")
        call("rf_filter", "run", f"{CFG}/rf.cfg")
        yield root


@pytest.mark.parametrize("service", SERVICES)
def test_the_entrypoint_is_the_services_command(images: Images, service: str) -> None:
    command = f"hum-{service.replace('_', '-')}"
    shown = images.run(service, "--help", action=("run",))
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: {command}" in shown.stdout
    assert images.run(service, "no-such-command", action=("run",)).returncode == 2


@pytest.mark.parametrize("service", SERVICES)
def test_its_own_test_passes(images: Images, service: str) -> None:
    done = images.run(service, action=("test",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("auto means cpu" in done.stdout or "auto means cuda" in done.stdout) == (service in TORCH)


@pytest.mark.parametrize("service", SERVICES)
def test_labels_say_what_is_in_it(images: Images, service: str) -> None:
    labels = images.labels(service)
    project = (ROOT / "services" / service / "pyproject.toml").read_text()
    lock = b"".join((ROOT / "requirements" / name).read_bytes() for name in (f"{service}.txt", "torch.txt"))
    assert f'version = "{labels["org.opencontainers.image.version"]}"' in project
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["org.opencontainers.image.base.digest"])
    assert labels["org.opencontainers.image.source"]
    assert labels["hum.lock.sha256"] == hashlib.sha256(lock).hexdigest()


@pytest.mark.parametrize("service", SERVICES)
def test_help_has_an_example(images: Images, service: str) -> None:
    shown = subprocess.run(
        ["apptainer", "run-help", images.path(service)], capture_output=True, text=True, check=True
    ).stdout
    assert f"{service}.sif run " in shown
    assert ("--nv" in shown) == (service in TORCH)


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_small(images: Images, service: str) -> None:
    assert images.path(service).stat().st_size <= LIMITS_MB[service] * 1e6


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_read_only_and_keeps_caches_in_scratch(images: Images, service: str) -> None:
    done = images.run(
        service, "sh", "-c", "touch /opt/hum/x; touch /x; env; umask; mkdir -p $NUMBA_CACHE_DIR && echo made"
    )
    assert done.stderr.count("Read-only file system") == 2, done.stderr
    variables = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert variables["PYTHONNOUSERSITE"] == variables["PYTHONDONTWRITEBYTECODE"] == "1"
    assert variables["LANG"] == variables["LC_ALL"] == "C.UTF-8"
    assert variables["NUMBA_CACHE_DIR"].startswith("/tmp/")
    assert variables["MPLCONFIGDIR"].startswith("/tmp/")
    assert "made" in done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_python_settings_of_a_careless_caller_do_not_reach_it(images: Images, service: str) -> None:
    ask = "import os; print([os.environ.get(name, '') for name in ('PYTHONPATH', 'PYTHONHOME', 'PYTHONSTARTUP')])"
    careless = {**os.environ, "PYTHONPATH": "/tmp", "PYTHONHOME": "/tmp"}  # and no --cleanenv
    done = subprocess.run(
        ["apptainer", "--quiet", "exec", images.path(service), "python3", "-c", ask],
        capture_output=True, text=True, check=False, env=careless, cwd="/",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "['', '', '']\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who owns the files of an image")
@pytest.mark.parametrize("service", SERVICES)
def test_every_file_belongs_to_root_and_none_is_setuid(images: Images, service: str) -> None:
    search = "find /boot /etc /home /media /mnt /opt /srv /usr /var -xdev ! -path /etc/resolv.conf"
    condition = r"\( ! -uid 0 -o ! -gid 0 -o -type f -perm /6000 \)"
    done = images.run(service, "sh", "-c", f"{search} {condition} -print; id -u", as_self=True)
    assert done.stdout.split() == ["0"], done.stdout[:2000] + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_it_has_no_network(images: Images, service: str) -> None:
    ask = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert images.run(service, "python3", "-c", ask).stdout.strip() == "['lo']"


@pytest.mark.parametrize("service", ["evaluator", "rf_filter"])
def test_there_is_no_torch_where_none_is_needed(images: Images, service: str) -> None:
    done = images.run(service, "python3", "-c", "import torch")
    assert "No module named 'torch'" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_batch_script_starts_is_there(images: Images, service: str) -> None:
    done = images.run(service, "python3", "-m", "hum_shared.task")
    assert done.returncode == 2
    assert "usage: python -m hum_shared.task" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_command_can_show_its_status(images: Images, workspace: Path, service: str) -> None:
    done = images.run(service, "run", "missing.cfg", "--status-port", "0", workspace=workspace, action=("run",))
    assert done.stdout.startswith("status: http://127.0.0.1:"), done.stderr
    assert (done.returncode, "missing.cfg" in done.stderr) == (2, True)


def test_the_status_of_a_task_in_an_image_is_seen_on_its_node(images: Images, workspace: Path) -> None:
    clip = next((workspace / "data/benchmark_corpus/labelled_recordings").iterdir())
    (workspace / "long 'ü'").mkdir()
    repeat(clip, workspace / "long 'ü'/499_20210301_cut.wav_0_600.wav", 60)
    lines = [line for line in (workspace / f"{CFG}/predict.cfg").read_text().splitlines() if "_dir=" not in line]
    changed = ["input_file=long 'ü'", "output_dir=long 'ü'/scores", "batch_size=1"]
    cfg = workspace / CFG / "long.cfg"
    cfg.write_text("\n".join([line for line in lines if not line.startswith(("input_file=", "batch_size="))] + changed))
    images.give(workspace)
    command = ["run", str(cfg.relative_to(workspace)), "--status-port", "0"]
    task = subprocess.Popen(
        images.command("predictor", *command, workspace=workspace, action=("run",), network=True),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
        env={**os.environ, "APPTAINERENV_OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert task.stdout is not None
    try:
        url = task.stdout.readline().removeprefix("status: ").strip()
        with urllib.request.urlopen(f"{url}healthz", timeout=20) as healthy:
            assert healthy.status == 200
        with urllib.request.urlopen(f"{url}api/tasks", timeout=20) as answer:
            assert answer.status == 200
    finally:
        task.terminate()
        task.communicate(timeout=60)


def test_sums_are_the_images(images: Images) -> None:
    assert images.sums() == {
        service: hashlib.sha256(images.path(service).read_bytes()).hexdigest() for service in SERVICES
    }


def test_auto_takes_the_cpu_and_says_so(images: Images, workspace: Path) -> None:
    for service in TORCH:
        assert re.search(r"\bcpu\b", (workspace / f"{service}.out").read_text()), service


def test_every_output_names_the_image_and_commit_it_came_from(images: Images, workspace: Path) -> None:
    track = next((workspace / "BENCHMARK/scores/a").rglob("*.parquet"))
    metas = {
        "trainer": json.loads((workspace / "TRAINING/runs/models/a/models/model.json").read_text()),
        "predictor": json.loads(pq.read_schema(track).metadata[b"hum"]),
        "evaluator": json.loads((workspace / RUN / "evaluation/index.json").read_text())["meta"],
        "rf_filter": json.loads((workspace / RUN / "postrf/index.json").read_text())["meta"],
    }
    found = {service: meta["provenance"] for service, meta in metas.items()}
    assert {service: made["image_digest"] for service, made in found.items()} == images.sums()
    for service, made in found.items():
        assert made["git_commit"] == images.labels(service)["org.opencontainers.image.revision"]


@pytest.mark.parametrize(
    ("service", "cfg", "changed"), [("trainer", TRAIN_CFG, "seed=99"), ("predictor", f"{CFG}/predict.cfg", "hop=0.2")]
)
def test_cuda_without_a_gpu_fails_at_once_in_one_line(
    images: Images, workspace: Path, service: str, cfg: str, changed: str
) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has a GPU")
    # Changed, so that there is work to do: what is done already needs no GPU.
    replaced = ("device=", "no_cuda=", changed.partition("=")[0] + "=")
    lines = [line for line in (workspace / cfg).read_text().splitlines() if not line.startswith(replaced)]
    asking = workspace / Path(cfg).with_name("cuda.cfg")
    asking.write_text("\n".join([*lines, changed, "device=cuda"]))
    done = images.run(service, "run", str(asking.relative_to(workspace)), workspace=workspace, action=("run", "--nv"))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert errors[0].startswith("error: device=cuda, but no GPU is visible")
