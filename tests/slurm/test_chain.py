from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.chain import Need, needs_of
from hum_slurm.written import WrittenArray

WORKSPACE = Workspace(Path("/w"), {"big": Path("/big")})


def array(
    name: str, reads: Sequence[Sequence[str]], writes: Sequence[Sequence[str]] | None = None, rows_per_task: int = 1
) -> WrittenArray:
    """An array with a row per list of inputs."""
    outputs = writes if writes is not None else [[f"{name}/{number}"] for number in range(len(reads))]
    rows = [
        Row(index=number, stage=name, task=str(number), command=["x"], inputs=list(one), outputs=list(outputs[number]))
        for number, one in enumerate(reads)
    ]
    return WrittenArray(Path(f"/w/{name}.batch"), "/w", rows, rows_per_task, concurrency=1)


def test_rows_that_pair_wait_for_their_like() -> None:
    first = array("a", [[], []])
    second = array("b", [["a/0/index.json"], ["a/1/index.json"]])
    assert needs_of(second, [first], [first], WORKSPACE) == [Need(first, pairwise=True)]
    assert Need(first, pairwise=True).option("7") == "aftercorr:7"


def test_an_array_waits_for_the_tasks_it_reads_from_alone() -> None:
    first = array("a", [[], [], []])
    second = array("b", [["a/0"], ["a/2"]])
    (need,) = needs_of(second, [first], [first], WORKSPACE)
    assert need == Need(first, indices=(0, 2))
    assert need.option("7") == "afterok:7_0:7_2"


def test_a_folder_that_is_read_waits_for_all_that_is_written_below_it() -> None:
    first = array("a", [[], []], [["{big}/runs/x/index.json"], ["{big}/runs/y/index.json"]])
    second = array("b", [["{big}/runs"]])
    (need,) = needs_of(second, [first], [first], WORKSPACE)
    assert need.option("${job1}") == "afterok:${job1}"


def test_names_that_begin_alike_are_not_folders_of_each_other() -> None:
    first, second = array("a", [[]], [["runs/x"]]), array("b", [["runs/xy"]])
    earlier = array("c", [[]])
    assert needs_of(second, [first, earlier], [earlier], WORKSPACE) == [Need(earlier)]


def test_what_reads_nothing_of_the_chain_comes_after_the_stage_before() -> None:
    first, second, third = array("a", [[]]), array("b", [[]]), array("c", [["elsewhere"]])
    assert needs_of(third, [first, second], [second], WORKSPACE) == [Need(second)]
    assert needs_of(first, [], [], WORKSPACE) == []


def test_what_the_stage_before_does_for_others_holds_nobody_up() -> None:
    """Scores of one model, the tuning of another between: a failed tuning must not cancel the former's evaluation."""
    predict, tune, evaluate = array("a", [[]]), array("b", [[]]), array("c", [["a/0"]])
    assert needs_of(evaluate, [predict, tune], [tune], WORKSPACE) == [Need(predict)]


def test_indices_of_several_rows_wait_for_indices_of_several_rows() -> None:
    first = array("a", [[]] * 4, rows_per_task=2)
    second = array("b", [["a/0"], ["a/3"]])
    (need,) = needs_of(second, [first], [first], WORKSPACE)
    assert need == Need(first, pairwise=True)


def test_what_a_task_keeps_besides_its_outputs_can_be_read_too() -> None:
    first = array("a", [[]])
    row = first.rows[0].model_copy(update={"state": ["model/out_of_tape"]})
    first = WrittenArray(first.script, "/w", [row], 1, 1)
    second = array("b", [["model/out_of_tape/x.parquet"]])
    assert needs_of(second, [first], [first], WORKSPACE) == [Need(first)]
