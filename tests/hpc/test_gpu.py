"""A task that must have a GPU, on a node that shows none."""

from __future__ import annotations

import shutil

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.image_workspace import with_images
from support.images import Images


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_it_ends_1_at_once_says_so_and_is_retried(copied: ClusterWorkspace, images: Images) -> None:
    for track in (copied.root / "BENCHMARK/scores/a/len400_hop100").iterdir():
        track.unlink()
    with_images(copied, images, device="cuda")
    copied.call("hum-slurm", "benchmark")
    copied.submit("predict")
    copied.finish()
    task = copied.status()["predict"]["tasks"][0]
    assert (task["state"], task["exit_code"]) == ("failed", 1)
    assert "device=cuda, but no GPU is visible" in task["reason"]
    log = (copied.root / task["log"]).read_text()
    assert log.count("error:") == 1, log
    assert "Traceback" not in log
    assert not list((copied.root / "BENCHMARK/scores/a/len400_hop100").glob("*.parquet"))

    with_images(copied, images)  # as on a node whose GPU is seen: the scripts change, the tasks do not
    copied.call("hum-slurm", "benchmark")
    copied.call("hum-slurm", "retry-failed", "predict")
    copied.finish()
    assert copied.states("predict") == ["done", "done"]
