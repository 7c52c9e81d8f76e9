"""A packed run repeated in another folder and for another site, out of the same images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.image_workspace import image_site
from support.images import Images
from support.private_cluster import PrivateCluster

UNPACK = ("hum-slurm", "unpack", "../runs.tar.gz", "--site", "../site.toml")


@pytest.fixture
def repeated(cluster: PrivateCluster, apptainer_chain: ClusterWorkspace, images: Images) -> Iterator[ClusterWorkspace]:
    """A folder that holds nothing but the inputs; beside it the pack and a site of its own."""
    root = cluster.home / "repeated elsewhere"
    shutil.copytree(apptainer_chain.root / "data", root / "workspace" / "data")
    (root / "site.toml").write_text(
        image_site(images).replace("[job]\n", '[job]\npartition = "kisski"\n').replace("00:10:00", "20")
    )
    cluster.give(root)
    apptainer_chain.call("hum-slurm", "pack", "--out", root / "runs.tar.gz")
    yield ClusterWorkspace(cluster, root / "workspace")
    shutil.rmtree(root)


def test_a_packed_run_gives_the_same_bytes_elsewhere(
    apptainer_chain: ClusterWorkspace, repeated: ClusterWorkspace
) -> None:
    said = repeated.call(*UNPACK)
    assert "inputs are those of the pack" in said
    assert "equal within tolerances only: the models are others" in said
    assert "nothing was run here yet" in said

    for models in ("TRAINING/runs", "TRAINING/rf"):
        shutil.copytree(apptainer_chain.root / models, repeated.root / models, dirs_exist_ok=True)
    repeated.cluster.give(repeated.root)
    assert "same images, CPU type and models: results are to be equal byte by byte" in repeated.call(*UNPACK)
    repeated.submit("predict", "evaluate", "rf", "--chain")
    repeated.finish(300)
    said = repeated.call(*UNPACK)
    assert "8 of 8 indexes have equal entries" in said
    assert "problem" not in said
    tables = ("**/index.json", "**/annotations/*.txt")
    assert repeated.results(*tables) == apptainer_chain.results(*tables)
    assert f"{len(apptainer_chain.results(tables[1]))} of {len(apptainer_chain.results(tables[1]))} tables" in said


def test_another_recording_than_the_packed_one_is_named(repeated: ClusterWorkspace) -> None:
    clips = sorted((repeated.root / "data/benchmark_corpus/labelled_recordings").iterdir())
    clips[0].write_bytes(clips[1].read_bytes())
    clips[1].unlink()
    said = repeated.call(*UNPACK, code=2)
    assert f"1 inputs missing: data/benchmark_corpus/labelled_recordings/{clips[1].name}" in said
    assert f"1 inputs not what was packed: data/benchmark_corpus/labelled_recordings/{clips[0].name}" in said


def test_a_site_without_images_is_told_that_bytes_may_differ(repeated: ClusterWorkspace) -> None:
    said = repeated.call(*UNPACK[:-1], "local-test")
    assert "results are to be equal within tolerances only: this site runs without images" in said
