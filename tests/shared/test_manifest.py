from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.errors import InputError, MachineError
from hum_shared.layout import Workspace
from hum_shared.manifest import Row, format_manifest, manifest_digest, read_manifest, runnable_command

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def row(index: int = 0, task: str = "t", command: list[str] | None = None) -> Row:
    return Row(index=index, stage="rf", task=task, command=command or ["python"], inputs=[], outputs=[])


@given(task=TEXTS, argument=TEXTS)
def test_a_manifest_round_trips_with_any_text(
    tmp_path_factory: pytest.TempPathFactory, task: str, argument: str
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "m.jsonl"
    rows = [row(0, task, ["c", argument]), row(1, task + "'")]
    path.write_text(format_manifest(rows), encoding="utf-8", newline="\n")
    assert read_manifest(path) == rows


def test_one_row_is_one_line_with_these_keys() -> None:
    assert format_manifest([row()]) == (
        '{"index": 0, "stage": "rf", "task": "t", "command": ["python"], "outputs": [], "inputs": []}\n'
    )


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two tasks would be called 't'"):
        format_manifest([row(0), row(1)])


def test_a_manifest_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    text = format_manifest([row()])
    path.write_text(text)
    assert read_manifest(path, manifest_digest(text)) == [row()]
    path.write_text(text.replace("python", "rm"))
    with pytest.raises(InputError, match="has changed since"):
        read_manifest(path, manifest_digest(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no tasks"),
        ("nonsense\n", "line 1"),
        ('{"index": 0}\n', "line 1: stage: Field required"),
        (format_manifest([row(3)]), "index 3, expected 0"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_manifest(path)


def test_a_last_line_without_its_end_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(format_manifest([row()]).rstrip("\n"))
    assert read_manifest(path) == [row()]


def test_arguments_keep_relative_paths_and_lose_named_roots(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, {"big": Path("/big disk")})
    found = runnable_command(row(command=["python", "a/b", "{big}/x $y", "{}"]), workspace)
    assert Path(found[0]).name == "python"
    assert found[1:] == ["a/b", "/big disk/x $y", "{}"]


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no-such-program is neither in"):
        runnable_command(row(command=["no-such-program"]), Workspace(tmp_path))
