"""The cluster and the finished workspace that the tests of this folder share."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster_workspace import ClusterWorkspace
from support.image_workspace import with_images
from support.images import Images
from support.interrupted_trainings import Interrupted, interrupt_trainings
from support.private_cluster import CannotRun, PrivateCluster
from support.tiny_workspace import CHAIN, PREPARE, make_tiny_workspace

HOSTILE = """it's a "work" space, 50% $HOME ü.v1"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[PrivateCluster]:
    """A private cluster, stopped when the tests end. Where it must run (HUM_HPC_REQUIRED), not running is a failure."""
    try:
        running = PrivateCluster()
    except CannotRun as reason:
        if os.environ.get("HUM_HPC_REQUIRED"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def images() -> Images:
    """The built images. Where they must be there (HUM_HPC_REQUIRED), not having them is a failure."""
    try:
        return Images()
    except CannotRun as reason:
        if os.environ.get("HUM_HPC_REQUIRED"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def prepared(cluster: PrivateCluster) -> ClusterWorkspace:
    """A workspace with corpora, indexes and datasets; nothing was trained."""
    workspace = ClusterWorkspace(cluster, cluster.give(make_tiny_workspace(cluster.home / "prepared")))
    for command in PREPARE:
        workspace.call(*command)
    return workspace


@pytest.fixture(scope="session")
def interrupted(prepared: ClusterWorkspace) -> Interrupted:
    """Trainings that were interrupted just now; minutes later Slurm has gone on with them."""
    return interrupt_trainings(prepared)


@pytest.fixture(scope="session")
def reference(request: pytest.FixtureRequest, prepared: ClusterWorkspace) -> ClusterWorkspace:
    """A workspace in which the local executor has run the whole chain, one thread per task."""
    # Time limits are whole minutes and a requeued job waits two: they begin first, and all other tests run meanwhile.
    if any("interrupted" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("interrupted")
    workspace = prepared.copy_to(prepared.root.with_name("reference"))
    for factory in ("training", "benchmark", "evaluation", "rf"):
        workspace.call("hum-slurm", factory)
    for stage in CHAIN:
        workspace.call("hum-slurm", "run", stage, "--executor", "local", "--workers", "2")
    return workspace


@pytest.fixture(scope="session")
def begun(cluster: PrivateCluster, prepared: ClusterWorkspace) -> dict[str, ClusterWorkspace]:
    """The corpora and settings under a hostile path per runtime, and the chain handed to Slurm from nothing else."""
    chains = {"venv": prepared.copy_to(cluster.home / "venv" / HOSTILE)}
    with contextlib.suppress(CannotRun):
        chains["apptainer"] = with_images(prepared.copy_to(cluster.home / "apptainer" / HOSTILE), Images())
    for workspace in chains.values():
        workspace.submit(*CHAIN, "--chain")
    return chains


@pytest.fixture(scope="session")
def venv_chain(begun: dict[str, ClusterWorkspace]) -> ClusterWorkspace:
    """The chain out of the environment of these tests, ended."""
    begun["venv"].finish(500)
    return begun["venv"]


@pytest.fixture(scope="session")
def apptainer_chain(images: Images, begun: dict[str, ClusterWorkspace]) -> ClusterWorkspace:
    """The chain out of the images, ended."""
    begun["apptainer"].finish(500)
    return begun["apptainer"]


@pytest.fixture
def copied(cluster: PrivateCluster, reference: ClusterWorkspace, tmp_path: Path) -> Iterator[ClusterWorkspace]:
    """A copy of the finished workspace without evaluations and filters, and with tasks written for its place."""
    root = cluster.home / tmp_path.name
    workspace = reference.copy_to(root)
    for name in ("runs", "jobs"):
        shutil.rmtree(root / "BENCHMARK" / name)
    for factory in ("training", "benchmark", "evaluation", "rf"):
        workspace.call("hum-slurm", factory)
    yield workspace
    shutil.rmtree(root)
