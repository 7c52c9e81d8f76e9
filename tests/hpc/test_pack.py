"""A packed run repeated in another folder and for another site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.private_cluster import PrivateCluster

SITE = """\
runtime = "venv"
scratch = ["NODE_SCRATCH", "TMPDIR"]

[job]
partition = "kisski"
time = "00:05:00"
cpus = 1
memory = "1500M"
signal_lead_s = 30
"""


@pytest.fixture
def repeated(cluster: PrivateCluster, reference: ClusterWorkspace) -> Iterator[ClusterWorkspace]:
    """A folder that holds nothing but the inputs, and a site of its own."""
    root = cluster.home / "repeated elsewhere"
    shutil.copytree(reference.root / "data", root / "workspace" / "data")
    (root / "site.toml").write_text(SITE)
    yield ClusterWorkspace(cluster, cluster.give(root) / "workspace")
    shutil.rmtree(root)


def test_a_packed_run_gives_the_same_elsewhere(reference: ClusterWorkspace, repeated: ClusterWorkspace) -> None:
    pack = repeated.root.parent / "runs.tar.gz"
    reference.call("hum-slurm", "pack", "--out", pack)
    unpack: list[str | Path] = ["hum-slurm", "unpack", pack, "--site", "../site.toml"]
    said = repeated.call(*unpack)
    assert "inputs are those of the pack" in said
    assert "equal within tolerances only: it was packed without images" in said
    assert "nothing was run here yet" in said

    shutil.copytree(reference.root / "TRAINING/runs", repeated.root / "TRAINING/runs")
    repeated.cluster.give(repeated.root)
    repeated.submit("predict", "evaluate", "rf-train", "rf", "--chain")
    repeated.finish(300)
    said = repeated.call(*unpack)
    assert "8 of 8 indexes have equal entries" in said
    assert repeated.results("**/index.json", "**/annotations/*.txt") == reference.results(
        "**/index.json", "**/annotations/*.txt"
    )


def test_another_recording_than_the_packed_one_is_named(
    reference: ClusterWorkspace, repeated: ClusterWorkspace
) -> None:
    pack = repeated.root.parent / "runs.tar.gz"
    reference.call("hum-slurm", "pack", "--out", pack)
    clips = sorted((repeated.root / "data/benchmark_corpus/labelled_recordings").iterdir())
    clips[0].write_bytes(clips[1].read_bytes())
    clips[1].unlink()
    said = repeated.call("hum-slurm", "unpack", pack, "--site", "../site.toml", code=2)
    assert f"1 inputs missing: data/benchmark_corpus/labelled_recordings/{clips[1].name}" in said
    assert f"1 inputs not what was packed: data/benchmark_corpus/labelled_recordings/{clips[0].name}" in said
