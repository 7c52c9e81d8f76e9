"""How a task ends in which some recordings failed."""

from pathlib import Path

import pytest

from hum_shared.errors import PartialFailure
from hum_shared.failures import settle_failures
from hum_shared.files import read_json


def test_failures_are_written_sorted_and_the_first_three_named(tmp_path: Path) -> None:
    failures = {name: f"why {name}" for name in ("d", "b ü", "a", "c")}
    with pytest.raises(PartialFailure, match="4 of 9 tables failed") as error:
        settle_failures(tmp_path / "failures.json", failures, 9, "tables")
    assert list(read_json(tmp_path / "failures.json")) == ["a", "b ü", "c", "d"]
    assert "a: why a; b ü: why b ü; c: why c" in str(error.value)
    assert "why d" not in str(error.value)


def test_without_failures_those_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "failures.json"
    settle_failures(file, {}, 2)
    file.write_text("{}")
    settle_failures(file, {}, 2)
    assert not file.exists()
