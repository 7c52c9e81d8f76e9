"""The FastAPI application: which path answers what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

import hum_shared
from hum_shared.status.access import Access
from hum_shared.status.logs import log_text
from hum_shared.status.page import Page, PageQuery
from hum_shared.status.prometheus import CONTENT_TYPE, prometheus_text
from hum_shared.status.snapshot import Source
from hum_shared.status.tasks import Evidence
from hum_shared.status.views import Change, Health, Problem, RunView, StageView, StateFilter, TaskDetail, TaskView
from hum_shared.status.watcher import Watcher

LOG_BYTES = 1 << 16
LOG_LINES = 200

_STATIC = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such thing."}}


def make_app(source: Source, token: str | None = None) -> FastAPI:
    """Return the application for a source of snapshots; it reads and never writes.

    Parameters
    ----------
    source
        What it tells about.
    token
        What every request but `/healthz` must carry; None for a server that answers to localhost only.
    """
    watcher, page = Watcher(source), Page(source)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        first = asyncio.create_task(watcher.fresh())  # the first look takes longest: nobody need ask for it
        yield
        watcher.close()
        await asyncio.gather(first, return_exceptions=True)

    app = FastAPI(
        title="hum status",
        version=hum_shared.__version__,
        description="What the tasks of a workspace are doing, and what its runs found. Read only.",
        lifespan=lifespan,
        docs_url=None,  # the usual pages load scripts from elsewhere; there is no elsewhere on a compute node
        redoc_url=None,
    )
    app.state.watcher = watcher
    app.add_middleware(Access, token=token)

    @app.get("/healthz", tags=["service"])
    async def health() -> Health:
        """Say that the server is up; needs no token."""
        return Health()

    @app.get("/api/stages", tags=["tasks"])
    async def stages() -> list[StageView]:
        """Return every stage that has tasks, in the order they run."""
        return (await watcher.fresh()).stages

    @app.get("/api/tasks", tags=["tasks"], response_model=list[TaskView])
    async def tasks(
        stage: Annotated[str, Query(description="only of this stage; empty: of all", examples=["predict"])] = "",
        state: Annotated[StateFilter, Query(description="only in this state; empty: in any")] = "",
    ) -> Response:
        """Return the tasks, by stage and name."""
        snapshot = await watcher.fresh()
        chosen = (
            snapshot.json[task.id]
            for task in snapshot.tasks.values()
            if stage in ("", task.stage) and state in ("", task.state)
        )
        return Response(b"[" + b",".join(chosen) + b"]", media_type="application/json")

    @app.get("/api/tasks/{task_id:path}", tags=["tasks"], responses=_NOT_FOUND)
    async def task(task_id: str) -> TaskDetail:
        """Return one task, named `<stage>/<task>`, with the end of its log."""
        snapshot = await watcher.fresh()
        if task_id not in snapshot.tasks:
            raise HTTPException(404, f"no task {task_id!r}; /api/tasks lists them")
        return await asyncio.to_thread(task_detail, source, snapshot.tasks[task_id], snapshot.evidence[task_id])

    @app.get("/api/runs", tags=["runs"])
    async def runs() -> list[RunView]:
        """Return the runs that have selections, with the numbers of both layers."""
        return (await watcher.fresh()).runs

    @app.get("/api/runs/{model}/{variant}", tags=["runs"], responses=_NOT_FOUND)
    async def run(
        model: str,
        variant: str,
        set_name: Annotated[str, Query(alias="set", description="of this set; empty: of the benchmark")] = "",
    ) -> RunView:
        """Return one run with the numbers of both layers."""
        for one in (await watcher.fresh()).runs:
            if (one.model, one.variant, one.set or "") == (model, variant, set_name):
                return one
        raise HTTPException(404, f"no run {model!r} {variant!r}; /api/runs lists them")

    @app.get(
        "/api/events",
        tags=["service"],
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: one `change` at once and one whenever something changes, whose "
                "data is a `Change`.",
                "content": {"text/event-stream": {"schema": Change.model_json_schema(), "itemSchema": {}}},
            }
        },
    )
    async def events() -> StreamingResponse:
        """Tell whenever something changes."""
        return StreamingResponse(watcher.events(), media_type="text/event-stream")

    @app.get("/metrics", tags=["service"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Return counts, throughput and the runs' numbers for Prometheus."""
        text = prometheus_text(await watcher.fresh(), watcher.n_listeners)
        return Response(text, media_type=CONTENT_TYPE)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> HTMLResponse:
        query = PageQuery.of(request.query_params)
        return HTMLResponse(await page.render(await watcher.fresh(), query))

    @app.get("/tasks/{task_id:path}", include_in_schema=False)
    async def task_page(task_id: str) -> HTMLResponse:
        snapshot = await watcher.fresh()
        found = await page.render_task(snapshot, task_id)
        return HTMLResponse(found, status_code=200 if task_id in snapshot.tasks else 404)

    static = {name: files(__package__).joinpath("static", name).read_bytes() for name in _STATIC}

    @app.get("/static/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in static:
            raise HTTPException(404, f"no {name!r}")
        return Response(static[name], media_type=_STATIC[name])

    return app


def task_detail(source: Source, task: TaskView, evidence: Evidence) -> TaskDetail:
    """Return a task with its command and the end of its log; reads the log."""
    log = source.log(evidence, LOG_BYTES)
    return TaskDetail(
        **task.model_dump(),
        command=evidence.row.command if evidence.row else None,
        log=log[0] if log else None,
        log_tail=log_text(log[1], LOG_LINES, cut=len(log[1]) == LOG_BYTES) if log else None,
    )
