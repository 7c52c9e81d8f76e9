"""What a cluster says about itself: `scontrol show config` and `scontrol show partition`, parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hum_shared.errors import MachineError
from hum_slurm.durations import parse_minutes

_SETTING = re.compile(r"^(\w+)\s*= (.*)$", re.M)
_WORD = re.compile(r"(\S+?)=(\S*)")


@dataclass(frozen=True)
class Partition:
    """A partition; `max_minutes` is None where it has no limit."""

    name: str
    is_default: bool
    is_up: bool
    max_minutes: int | None
    gres: str


def parse_config(text: str) -> dict[str, str]:
    """Return the settings of `scontrol show config` by name; ``(null)`` is the empty text."""
    return {name: value.strip().replace("(null)", "") for name, value in _SETTING.findall(text)}


def max_array_size(config: Mapping[str, str]) -> int:
    """Return MaxArraySize: one more than the highest index of an array.

    Raises
    ------
    MachineError
        When the cluster does not say.
    """
    value = config.get("MaxArraySize", "")
    if not value.isdecimal() or int(value) < 1:
        raise MachineError(f"scontrol show config: MaxArraySize is {value!r}. Set max_array_size in the site file.")
    return int(value)


def parse_partitions(text: str) -> dict[str, Partition]:
    """Return the partitions of `scontrol --oneliner show partition` by name; empty for no text."""
    found = {}
    for line in text.splitlines():
        words = dict(_WORD.findall(line))
        if "PartitionName" in words:
            name = words["PartitionName"]
            found[name] = Partition(
                name=name,
                is_default=words.get("Default") == "YES",
                is_up=words.get("State") == "UP",
                max_minutes=parse_minutes(words.get("MaxTime", "UNLIMITED")),
                gres=words.get("TRES", ""),
            )
    return found
