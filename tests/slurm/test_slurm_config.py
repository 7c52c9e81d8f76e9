from __future__ import annotations

from pathlib import Path

import pytest

from hum_shared.errors import InputError, MachineError
from hum_slurm.durations import parse_megabytes, parse_minutes
from hum_slurm.slurm_config import max_array_size, parse_config, parse_partitions

RECORDED = Path(__file__).parents[1] / "golden" / "slurm" / "recorded"


def test_settings_are_read_by_name() -> None:
    config = parse_config((RECORDED / "scontrol_config.txt").read_text())
    assert max_array_size(config) == 11
    assert config["JobCompLoc"] == "/var/tmp/hum-hpc-yc4fkqzk/state/jobcomp.log"
    assert config["AccountingStorageBackupHost"] == ""


def test_a_cluster_that_does_not_tell_its_array_size_is_an_error() -> None:
    for config in ({}, {"MaxArraySize": "0"}):  # 0: it has no arrays
        with pytest.raises(MachineError, match="Set max_array_size in the site file"):
            max_array_size(config)


def test_partitions_tell_limit_state_and_default() -> None:
    found = parse_partitions((RECORDED / "scontrol_partition.txt").read_text())
    assert (found["kisski"].max_minutes, found["kisski"].is_up, found["kisski"].is_default) == (2880, True, False)
    assert (found["scc-cpu"].max_minutes, found["scc-cpu"].is_up, found["scc-cpu"].is_default) == (None, False, True)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30", 30), ("30:01", 31), ("1:30:00", 90), ("2-00:00:00", 2880), ("1-6", 1800), ("1-6:30", 1830),
        ("UNLIMITED", None), ("", None),
    ],
)  # fmt: skip
def test_time_limits_in_all_of_slurms_forms(text: str, minutes: int | None) -> None:
    assert parse_minutes(text) == minutes


def test_another_form_of_time_is_an_error() -> None:
    with pytest.raises(InputError, match="'1h'"):
        parse_minutes("1h")


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("2G", 2048),
        ("8000M", 8000),
        ("16Gn", 16384),
        ("4000", 4000),
        ("1.5G", 1536),
        ("2048K", 2),
        ("0", None),
        ("", None),
    ],
)
def test_amounts_of_memory(text: str, megabytes: int | None) -> None:
    assert parse_megabytes(text) == megabytes
