"""What the page shows, in which order."""

import pytest

from hum_shared.status.page import PageQuery, breakable, chosen, number, percent, run_rows, sorted_by, time_of_day
from hum_shared.status.views import LayerView, RunView, TaskView


def task(name: str, state: str = "running", **values: object) -> TaskView:
    given = {"id": f"predict/{name}", "stage": "predict", "task": name, "state": state, "done": 1, "total": 2}
    rest = dict.fromkeys(("share", "rate", "remaining_s", "started", "updated", "exit_code"))
    return TaskView.model_validate(given | rest | {"unit": "files", "message": "", "host": ""} | values)


def names(tasks: list[TaskView]) -> list[str]:
    return [one.task for one in tasks]


def test_what_failed_comes_first_and_what_is_done_last() -> None:
    states = ["done", "queued", "running", "partial", "lost", "failed"]
    tasks = [task(state, state) for state in states]
    assert names(sorted_by(tasks, PageQuery().sort)) == states[::-1]


def test_tasks_are_sorted_by_a_column_both_ways() -> None:
    tasks = [task("a", rate=1.0), task("b"), task("c", rate=3.0)]
    assert names(sorted_by(tasks, "-rate")) == ["c", "a", "b"]
    assert names(sorted_by(tasks, "rate")) == ["b", "a", "c"]
    assert names(sorted_by(tasks, "no such column")) == ["a", "b", "c"]


@pytest.mark.parametrize("sort", ["state", "stage", "task", "share", "rate", "left", "updated"])
def test_every_column_can_be_sorted_by(sort: str) -> None:
    tasks = [task("a"), task("b", share=0.5, rate=1.0, remaining_s=3.0, updated="2026")]
    assert sorted(names(sorted_by(tasks, sort))) == ["a", "b"]


def test_tasks_are_chosen_by_text_in_name_machine_and_message() -> None:
    tasks = [task("Grün"), task("b", host="gpu07"), task("c", message="unknown key"), task("d", "failed")]
    assert names(chosen(tasks, PageQuery(q="GRÜN"))) == ["Grün"]
    assert names(chosen(tasks, PageQuery(q="gpu"))) == ["b"]
    assert names(chosen(tasks, PageQuery(q="unknown"))) == ["c"]
    assert names(chosen(tasks, PageQuery(state="failed", stage="predict"))) == ["d"]
    assert chosen(tasks, PageQuery(stage="rf")) == []


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e9", "9" * 400, "²", ""])
def test_a_page_that_makes_no_sense_is_the_first(page: str) -> None:
    assert PageQuery.of({"page": page, "unknown": "x"}) == PageQuery()


def test_a_link_keeps_the_query_and_starts_at_the_first_page() -> None:
    query = PageQuery.of({"stage": "a&b", "q": 'ü"', "page": "3"})
    assert query.link(state="failed") == "?stage=a%26b&state=failed&q=%C3%BC%22"
    assert query.link(page=4) == "?stage=a%26b&q=%C3%BC%22&page=4"


def run(model: str, f1: float | None) -> RunView:
    metrics = {} if f1 is None else {"f1": f1}
    layer = LayerView(n_selections=1, n_recordings=1, hours=0.1, generated_at=None, metrics=metrics)
    return RunView(model=model, variant="v", set=None, layers={"evaluation": layer})


def test_runs_are_sorted_by_a_number_and_those_without_it_come_last() -> None:
    runs = [run("none", None), run("low", 0.1), run("high", 0.9)]
    assert [row["model"] for row in run_rows(runs, "-f1")] == ["high", "low", "none"]
    assert [row["model"] for row in run_rows(runs, "f1")] == ["low", "high", "none"]
    assert [row["model"] for row in run_rows(runs, "model")] == ["high", "low", "none"]
    assert [row["model"] for row in run_rows(runs, "nonsense")] == ["none", "low", "high"]
    assert run_rows([], "-f1") == []


def test_numbers_are_written_for_people() -> None:
    assert [number(None), number(1234.5678, 1), number(0)] == ["–", "1,234.6", "0"]
    assert [percent(None), percent(0.999), percent(1.0), percent(0.29)] == ["", "99 %", "100 %", "29 %"]
    assert [time_of_day("2026-01-31T08:00:17+00:00"), time_of_day(None), time_of_day("soon")] == [
        "01-31 08:00:17",
        "",
        "",
    ]


def test_long_names_may_break_and_stay_escaped() -> None:
    assert str(breakable("a_b__c/<d>&")) == "a_<wbr>b__<wbr>c/<wbr>&lt;d&gt;&amp;"
