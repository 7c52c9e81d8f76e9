"""The page a person looks at, made on the server: it works without JavaScript, which only keeps it up to date."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hum_shared.progress_display import clock
from hum_shared.status.logs import log_text
from hum_shared.status.snapshot import Snapshot, Source
from hum_shared.status.tasks import stage_rank
from hum_shared.status.views import STATES, RunView, TaskView

ROWS = 200
_FAILURES = 20
_FAILURE_LOG = (1 << 13, 12)
_TASK_LOG = (1 << 16, 400)
_KEPT_PAGES = 32
_BAD = frozenset({"failed", "lost", "partial"})

_TASK_SORTS: dict[str, Callable[[TaskView], Any]] = {
    "state": lambda task: STATES.index(task.state),
    "stage": lambda task: stage_rank(task.stage),
    "task": lambda task: task.task,
    "share": lambda task: -1.0 if task.share is None else task.share,
    "rate": lambda task: task.rate or 0.0,
    "left": lambda task: math.inf if task.remaining_s is None else task.remaining_s,
    "updated": lambda task: task.updated or "",
}
TASK_COLUMNS = (
    ("state", "State"),
    ("stage", "Stage"),
    ("task", "Task"),
    ("share", "Done"),
    ("rate", "Per second"),
    ("left", "Left"),
    ("updated", "Last sign (UTC)"),
)
RUN_COLUMNS = (
    ("n_gt", "Calls", 0),
    ("n_selections", "Found", 0),
    ("precision", "Precision", 3),
    ("recall", "Recall", 3),
    ("f1", "F1", 3),
    ("mean_dstart_ms", "Δ start ms", 0),
    ("mean_dend_ms", "Δ end ms", 0),
    ("hours", "Hours", 2),
)


@dataclass(frozen=True)
class PageQuery:
    """What a person asked the page for; whatever makes no sense is the default."""

    stage: str = ""
    state: str = ""
    q: str = ""
    sort: str = "state"
    runs: str = "-f1"
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> PageQuery:
        """Return the query in the parameters of a URL."""
        given = {name: parameters[name] for name in ("stage", "state", "q", "sort", "runs") if name in parameters}
        page = parameters.get("page", "1")
        return cls(**given, page=max(1, int(page)) if page.isdecimal() and len(page) < 7 else 1)

    def link(self, **changes: Any) -> str:
        """Return the URL of the page with some parameters changed."""
        default, wanted = PageQuery(), replace(self, **({"page": 1} | changes))
        given = {name: value for name, value in vars(wanted).items() if value != getattr(default, name)}
        return "?" + urlencode(given)


class Page:
    """Renders the page; the same page for any number of clients is made once."""

    def __init__(self, source: Source):
        self._source = source
        self._made: dict[tuple[int, PageQuery], asyncio.Task[str]] = {}
        self._templates = Environment(
            loader=PackageLoader("hum_shared.status"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(clock=clock, number=number, percent=percent, time=time_of_day)
        self._templates.filters.update(path=quote, breakable=breakable)
        self._templates.globals.update(STATES=STATES, BAD=_BAD)

    async def render(self, snapshot: Snapshot, query: PageQuery) -> str:
        """Return the page of a workspace."""
        key = (snapshot.version, query)
        if key not in self._made:
            while len(self._made) >= _KEPT_PAGES:
                del self._made[next(iter(self._made))]
            self._made[key] = asyncio.create_task(asyncio.to_thread(self._index, snapshot, query))
        try:
            return await asyncio.shield(self._made[key])
        except Exception:
            self._made.pop(key, None)
            raise

    async def render_task(self, snapshot: Snapshot, task_id: str) -> str:
        """Return the page of one task, or one that says that there is none of that name."""
        return await asyncio.to_thread(self._task, snapshot, task_id)

    def _index(self, snapshot: Snapshot, query: PageQuery) -> str:
        tasks = sorted_by(chosen(list(snapshot.tasks.values()), query), query.sort)
        bad = [task for task in snapshot.tasks.values() if task.state in _BAD]
        bad.sort(key=lambda task: STATES.index(task.state))
        n_pages = max(1, math.ceil(len(tasks) / ROWS))
        query = replace(query, page=min(query.page, n_pages))
        runs = run_rows(snapshot.runs, query.runs)
        return self._templates.get_template("index.html").render(
            snapshot=snapshot,
            query=query,
            tasks=tasks[(query.page - 1) * ROWS : query.page * ROWS],
            n_tasks=len(tasks),
            n_pages=n_pages,
            bad=[(task, self._log(snapshot, task, *_FAILURE_LOG)[1]) for task in bad[:_FAILURES]],
            n_bad=len(bad),
            runs=runs,
            best_f1=best_of_sets(runs),
            task_columns=TASK_COLUMNS,
            run_columns=RUN_COLUMNS,
            has_sets=any(run.set for run in snapshot.runs),
        )

    def _task(self, snapshot: Snapshot, task_id: str) -> str:
        task = snapshot.tasks.get(task_id)
        row = snapshot.evidence[task_id].row if task else None
        path, log = self._log(snapshot, task, *_TASK_LOG) if task else (None, "")
        return self._templates.get_template("task.html").render(
            snapshot=snapshot, task=task, task_id=task_id, log_path=path, log=log, command=row.command if row else None
        )

    def _log(self, snapshot: Snapshot, task: TaskView, n_bytes: int, n_lines: int) -> tuple[str | None, str]:
        found = self._source.log(snapshot.evidence[task.id], n_bytes)
        if found is None:
            return None, ""
        return found[0], log_text(found[1], n_lines, cut=len(found[1]) == n_bytes)


def chosen(tasks: Sequence[TaskView], query: PageQuery) -> list[TaskView]:
    """Return the tasks that a query asks for: of a stage, in a state, with a text in name, host or message."""
    text = query.q.casefold()
    return [
        task
        for task in tasks
        if query.stage in ("", task.stage)
        and query.state in ("", task.state)
        and (not text or any(text in part.casefold() for part in (task.id, task.host, task.message)))
    ]


def sorted_by(tasks: list[TaskView], sort: str) -> list[TaskView]:
    """Return tasks sorted by a column, the other way round when its name begins with a minus."""
    key = _TASK_SORTS.get(sort.removeprefix("-"), _TASK_SORTS["state"])
    return sorted(tasks, key=key, reverse=sort.startswith("-"))


def run_rows(runs: Sequence[RunView], sort: str) -> list[dict[str, Any]]:
    """Return one row per run and layer, sorted by a column (descending with a minus); what lacks it comes last."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        for layer, found in run.layers.items():
            row: dict[str, Any] = {name: found.metrics.get(name) for name, _, _ in RUN_COLUMNS}
            row |= {"n_selections": found.n_selections, "hours": found.hours, "layer": layer}
            rows.append(row | {"model": run.model, "variant": run.variant, "set": run.set or ""})
    column, reverse = sort.removeprefix("-"), sort.startswith("-")
    if not rows or column not in rows[0]:
        return rows
    with_value = [row for row in rows if row[column] is not None]
    with_value.sort(key=lambda row: row[column], reverse=reverse)
    return with_value + [row for row in rows if row[column] is None]


def best_of_sets(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the highest F1 of each set, the benchmark's under an empty name: sets are judged by other recordings."""
    best: dict[str, float] = {}
    for row in rows:
        if row["f1"] is not None:
            best[row["set"]] = max(row["f1"], best.get(row["set"], 0.0))
    return best


def number(value: float | None, digits: int = 0) -> str:
    """Return a number as text; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """Return a share as percent, rounded down: 100 % is all. Empty for none."""
    return "" if share is None else f"{math.floor(share * 100 + 1e-9)} %"


def time_of_day(text: str | None) -> str:
    """Return day and time of an ISO 8601 text as `01-31 08:00:17`; empty for anything else."""
    return "" if not text or len(text) < 19 or text[10] != "T" else f"{text[5:10]} {text[11:19]}"


def breakable(text: str) -> Markup:
    """Return text that a browser may break after underscores and slashes; escaped, and the same when copied."""
    return Markup(re.sub(r"(?<=[_/])(?=[^_/])", "<wbr>", str(escape(text))))
