from __future__ import annotations

from pathlib import Path

import pytest

from hum_shared.errors import MachineError
from hum_trainer.memory import _free_in_cgroups, free_memory, require_room

GIB = 1 << 30


def fits(needed_bytes: float, free_bytes: int | None) -> bool:
    try:
        require_room(needed_bytes, "the spectrograms", free_bytes)
    except MachineError:
        return False
    return True


def test_what_does_not_fit_is_an_error_that_says_how_much_is_missing_and_what_to_do() -> None:
    with pytest.raises(MachineError, match=r"the spectrograms need 2 GiB of memory, 1 GiB are free\. Name a cache_dir"):
        require_room(2 * GIB, "the spectrograms", GIB)


def test_what_fits_passes_and_so_does_everything_where_the_memory_is_unknown() -> None:
    assert fits(0.5 * GIB, GIB)
    assert not fits(GIB, GIB)
    assert fits(1e30, None)


def test_this_machine_has_some_memory_left() -> None:
    free = free_memory()
    assert free is None or free > 1 << 20


def test_cgroups_of_version_1_count_too(tmp_path: Path) -> None:
    for name, limit, used in (("slurm", 2**63 - 4096, 900), ("slurm/job_7", 1000, 400)):
        folder = tmp_path / "cgroup" / "memory" / name
        folder.mkdir(parents=True)
        (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
        (folder / "memory.stat").write_text("cache 70\ninactive_file 0\ntotal_inactive_file 50\n")
    (tmp_path / "membership").write_text("9:cpu,cpuacct:/slurm\n4:memory:/slurm/job_7/step_batch\n0::/\n")
    assert min(_free_in_cgroups(tmp_path / "cgroup", tmp_path / "membership")) == 650


def test_a_job_may_take_what_the_narrowest_of_its_cgroups_has_left(tmp_path: Path) -> None:
    for name, limit, used in (("job", "1000", 400), ("job/step", "max", 300)):
        folder = tmp_path / "cgroup" / name
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text("anon 250\ninactive_file 50\n")
    (tmp_path / "membership").write_text("1:name=systemd:/\n0::/job/step\n")
    assert _free_in_cgroups(tmp_path / "cgroup", tmp_path / "membership") == [650]
