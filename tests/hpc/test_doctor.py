"""`hum-slurm doctor` on a real cluster."""

from __future__ import annotations

import re

from support.cluster_workspace import ClusterWorkspace
from support.images import Images


def test_a_sound_site_passes_and_its_test_job_runs(reference: ClusterWorkspace) -> None:
    said = reference.call("hum-slurm", "doctor")
    assert "problem" not in said
    assert "MaxArraySize 11" in said
    assert "a test job ran: " in said


def test_images_their_digests_and_a_gpu_are_looked_at(apptainer_chain: ClusterWorkspace, images: Images) -> None:
    said = apptainer_chain.call("hum-slurm", "doctor")
    assert "problem" not in said
    for service, digest in images.sums().items():
        assert f"{service}.sif: {digest[:12]}" in said
    assert re.search(r"train, predict: sbatch .*--gres=gpu:A100:1 would be accepted", said)
    assert "a test job ran: " in said


def test_what_the_cluster_does_not_have_is_named(reference: ClusterWorkspace) -> None:
    site = reference.cluster.home / "wrong.toml"
    site.write_text(
        'runtime = "venv"\nmax_array_size = 50\n[job]\npartition = "kisky"\n'
        '[stages.rf]\npartition = "high"\ntime = "2:00:00"\n'
    )
    said = reference.call("hum-slurm", "doctor", "--site", site, code=2)
    assert "no partition kisky; there are high, kisski, scc-cpu" in said
    assert "rf: time 2:00:00 is more than partition high allows, 60 minutes" in said
    assert "max_array_size is 50 in the site file, 11 here" in said
