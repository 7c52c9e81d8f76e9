from __future__ import annotations

from pathlib import Path

import pytest

from hum_shared.errors import CfgError
from hum_slurm.site import read_site, shipped_site_names
from hum_slurm.stages import STAGE_NAMES


def write_site(path: Path, text: str) -> str:
    path.write_text('runtime = "venv"\n' + text)
    return path.name


def test_generic_gwdg_and_local_test_are_shipped_and_valid() -> None:
    assert shipped_site_names() == ["generic", "gwdg", "local-test"]
    for name in shipped_site_names():
        assert read_site(name, Path()).name == name


def test_gwdg_asks_for_an_a100_on_kisski_and_for_cpus_on_scc_cpu() -> None:
    site = read_site("gwdg", Path())
    assert (site.job("train").partition, site.job("train").gpu) == ("kisski", "-G A100:1")
    assert (site.job("evaluate").partition, site.job("evaluate").gpu) == ("scc-cpu", None)


def test_a_stage_overrides_the_settings_of_all_jobs(tmp_path: Path) -> None:
    name = write_site(tmp_path / "s.toml", '[job]\ncpus = 4\ntime = "1:00"\n[stages.rf-train]\ncpus = 8\n')
    site = read_site(name, tmp_path)
    assert (site.job("rf-train").cpus, site.job("rf-train").time) == (8, "1:00")
    assert site.job("rf").cpus == 4


def test_an_unfilled_placeholder_is_named_with_its_stage() -> None:
    site = read_site("gwdg", Path())
    with pytest.raises(CfgError, match=r"site gwdg: not filled in: account of stage train is <account>"):
        site.filled(site.job("train"), "train")


def test_an_unfilled_root_is_named() -> None:
    with pytest.raises(CfgError, match=r"roots.data is <storage>"):
        read_site("gwdg", Path()).filled_roots(["data"])


def test_an_unknown_site_lists_the_shipped_ones() -> None:
    with pytest.raises(CfgError, match="no site 'gdwg'; shipped: generic, gwdg, local-test"):
        read_site("gdwg", Path())


def test_a_misspelt_key_gets_the_nearest_one(tmp_path: Path) -> None:
    name = write_site(tmp_path / "s.toml", "max_arraysize = 5\n")
    with pytest.raises(CfgError, match="did you mean 'max_array_size'"):
        read_site(name, tmp_path)


def test_a_stage_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    name = write_site(tmp_path / "s.toml", "[stages.trian]\ncpus = 1\n")
    with pytest.raises(CfgError, match=r"stages\.trian"):
        read_site(name, tmp_path)


@pytest.mark.parametrize("value", ["a b", "a\\nb", "a#b", "a'b", ""])
def test_a_value_that_would_break_the_header_is_refused(tmp_path: Path, value: str) -> None:
    name = write_site(tmp_path / "s.toml", f'[job]\npartition = "{value}"\n')
    with pytest.raises(CfgError, match=r"job\.partition"):
        read_site(name, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "is_good"),
    [
        ("time", "12:00:00", True), ("time", "2-0", True), ("time", "UNLIMITED", True), ("time", "12h", False),
        ("memory", "16G", True), ("memory", "0", True), ("memory", "16 GiB", False), ("memory", "16GiB", False),
    ],
)  # fmt: skip
def test_times_and_amounts_of_memory_are_checked_when_they_are_read(
    tmp_path: Path, key: str, value: str, is_good: bool
) -> None:
    name = write_site(tmp_path / "s.toml", f'[stages.train]\n{key} = "{value}"\n')
    if is_good:
        assert getattr(read_site(name, tmp_path).job("train"), key) == value
    else:
        with pytest.raises(CfgError, match=rf"s\.toml.*stages\.train\.{key}"):
            read_site(name, tmp_path)


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    name = write_site(tmp_path / "s.toml", "[job\n")
    with pytest.raises(CfgError, match=r"s\.toml: not TOML"):
        read_site(name, tmp_path)


@pytest.mark.parametrize("name", ["generic", "gwdg"])
def test_what_asks_for_a_gpu_does_not_make_do_without(name: str) -> None:
    site = read_site(name, Path())
    for stage in STAGE_NAMES:
        assert (site.job(stage).device == "cuda") == (site.job(stage).gpu is not None), stage
