"""doctor with stand-ins for Slurm's programs; on a real Slurm: tests/hpc."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hum_slurm.context import open_context
from hum_slurm.doctor import examine, examine_partition
from hum_slurm.factories.training import plan_training
from hum_slurm.site import JobSettings
from hum_slurm.slurm_config import Partition
from support.slurm_workspace import HOSTILE, executable, make_workspace
from support.stand_in_slurm import stand_in_slurm

PARTITIONS = {
    "gpu": Partition("gpu", is_default=False, is_up=True, max_minutes=60, gres=""),
    "cpu": Partition("cpu", is_default=True, is_up=False, max_minutes=None, gres=""),
}


def findings(root: Path, site: str) -> list[str]:
    return [f"{found.state}: {found.text}" for found in examine(open_context(root, site), test_job=False)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"partition": "gpu", "time": "1:00:00"}, []),
        (
            {"partition": "gpu", "time": "1:00:01"},
            ["problem: train: time 1:00:01 is more than partition gpu allows, 60 minutes"],
        ),
        ({"partition": "gqu"}, ["problem: train: no partition gqu; there are cpu, gpu"]),
        ({}, ["problem: train: partition cpu is not up; choose another, or wait"]),
        ({"partition": "gpu", "time": "5"}, ["warning: train: told to save 180 s before its end, of 5 in all"]),
    ],
)  # fmt: skip
def test_partition_and_time_are_checked(settings: dict[str, str], said: list[str]) -> None:
    found = examine_partition("train", JobSettings.model_validate(settings), PARTITIONS)
    assert [f"{one.state}: {one.text}" for one in found] == said


def test_a_sound_site_has_no_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", stand_in_slurm(tmp_path / "slurm"))
    root = make_workspace(tmp_path / HOSTILE, "dataset_a")
    plan_training(open_context(root, "local-test"), data_root=str(root / "data/train")).write()
    said = findings(root, "local-test")
    assert not [line for line in said if line.startswith("problem")]
    assert "ok: MaxArraySize 1001: with more rows one index takes several" in said
    assert any("would be accepted" in line for line in said)


def test_an_unfilled_site_is_named_once_and_nothing_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", stand_in_slurm(tmp_path / "slurm"))
    (tmp_path / "workspace.toml").touch()
    said = findings(tmp_path, "gwdg")
    assert said[0].startswith("problem: site gwdg: not filled in: account of stage train is <account>")
    assert not [line for line in said if "would be accepted" in line]


@pytest.mark.parametrize(("code", "said"), [(0, "it was taken back"), (1, "take it back: scancel --name=hum-doctor-")])
def test_a_test_job_that_does_not_end_is_named_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    slurm = tmp_path / "slurm"
    monkeypatch.setenv("PATH", stand_in_slurm(slurm))
    executable(slurm / "sbatch", "#!/bin/bash\nif [[ $1 == --wait ]]; then exec sleep 60; fi\n")
    executable(slurm / "scancel", f'#!/bin/bash\necho "$@" >{slurm}/cancelled; exit {code}\n')
    monkeypatch.setattr("hum_slurm.doctor._TEST_JOB_WAIT_S", 0.2)
    *_, last = examine(open_context(make_workspace(tmp_path / HOSTILE), "local-test"), test_job=True)
    assert (last.state, said in last.text) == ("problem", True)
    name = (slurm / "cancelled").read_text().strip().removeprefix("--name=")
    assert last.text.startswith(f"the test job {name} has not ended after")


def test_images_are_compared_with_their_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    images = tmp_path / "images"
    images.mkdir()
    (images / "trainer.sif").write_bytes(b"image")
    (images / "predictor.sif").write_bytes(b"broken")
    digest = hashlib.sha256(b"image").hexdigest()
    (images / "SHA256SUMS").write_text(f"{digest}  trainer.sif\n{digest}  predictor.sif\n")
    said = findings(tmp_path, "generic")
    assert f"ok: {images}/trainer.sif: {digest[:12]}" in said
    assert f"problem: {images}/predictor.sif: not the one in {images}/SHA256SUMS; copy it again" in said
    assert f"problem: {images}/evaluator.sif: no such image; copy it there, or run make build-sif-evaluator" in said
    assert said[-1].startswith("problem: no sbatch and scontrol on the PATH")
