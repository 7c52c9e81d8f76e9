"""What the status endpoint answers: one model per kind of answer, with examples for its OpenAPI description."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue

ShownState = Literal["failed", "lost", "partial", "running", "queued", "done"]
StateFilter = Literal["", ShownState]
STATES: tuple[ShownState, ...] = get_args(ShownState)

# As hum-slurm runs them; a stage of another name comes after these.
STAGE_ORDER = ("train", "predict", "tune", "rf-train", "evaluate", "rf", "cutouts", "compare")

_TASK: dict[str, JsonValue] = {
    "id": "predict/v1_random__len400_hop050",
    "stage": "predict",
    "task": "v1_random__len400_hop050",
    "state": "running",
    "done": 5400.0,
    "total": 36000.0,
    "unit": "s of audio",
    "share": 0.15,
    "rate": 310.5,
    "remaining_s": 98.6,
    "started": "2026-01-31T08:00:00+00:00",
    "updated": "2026-01-31T08:00:17+00:00",
    "message": "387_20201207_cut.wav",
    "host": "gpu07",
    "exit_code": None,
}
_COUNTS: dict[str, JsonValue] = {"failed": 0, "lost": 0, "partial": 0, "running": 1, "queued": 1, "done": 2}
_STAGE: dict[str, JsonValue] = {
    "stage": "predict",
    "n_tasks": 4,
    "counts": _COUNTS,
    "share": 0.54,
    "unit": "s of audio",
    "rate": 310.5,
    "remaining_s": 214.5,
}
_LAYER: dict[str, JsonValue] = {
    "n_selections": 87,
    "n_recordings": 9,
    "hours": 0.15,
    "generated_at": "2026-01-31T08:10:00+00:00",
    "metrics": {"n_gt": 90.0, "precision": 0.943, "recall": 0.911, "f1": 0.927, "mean_dstart_ms": 179.5},
}
_RUN: dict[str, JsonValue] = {
    "model": "v1_random",
    "variant": "len400_hop050_th90",
    "set": None,
    "layers": {"postrf": _LAYER},
}


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Health(_View):
    """The server is up."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class TaskView(_View):
    """One task, from its row in a manifest, its progress file and how it ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TASK]})

    id: str = Field(description="`<stage>/<task>`")
    stage: str
    task: str
    state: ShownState = Field(
        description="lost: says that it runs but has been silent for two minutes; partial: some recordings failed"
    )
    done: float = Field(description="in `unit`")
    total: float | None = Field(description="in `unit`; null while unknown")
    unit: str
    share: float | None = Field(description="how much is done, 0 to 1; null while unknown")
    rate: float | None = Field(description="`unit` per second; null while unknown")
    remaining_s: float | None = Field(description="time left at this rate, s; null while unknown or not running")
    started: str | None = Field(description="UTC time, ISO 8601")
    updated: str | None = Field(description="last sign of life: UTC time, ISO 8601")
    message: str = Field(description="what it does, or why it did not end well")
    host: str = Field(description="machine it runs on; empty while unknown")
    exit_code: int | None = Field(description="of its command; null while unknown")


class TaskDetail(TaskView):
    """One task with the end of what it printed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_TASK,
                    "command": ["hum-predictor", "run", "BENCHMARK/cfg/v1_random/len400_hop050_th90/predict.cfg"],
                    "log": "BENCHMARK/jobs/job_logs/predict_v1_random__len400_hop050.log",
                    "log_tail": "model TRAINING/runs/models/v1_random/models/ANIMAL-SPOT.pk on cuda\n",
                }
            ]
        }
    )

    command: list[str] | None = Field(description="null for a task that is in no manifest")
    log: str | None = Field(description="the log, relative to the workspace; null where there is none inside it")
    log_tail: str | None = Field(description="its last lines")


class StageView(_View):
    """All tasks of a stage together."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STAGE]})

    stage: str
    n_tasks: int
    counts: dict[ShownState, int] = Field(description="tasks by state; every state is there")
    share: float = Field(description="how much is done, 0 to 1; every task counts the same")
    unit: str | None = Field(description="what is counted; null when the tasks count different things")
    rate: float | None = Field(description="throughput of the running tasks, `unit` per second")
    remaining_s: float | None = Field(description="estimate of the time left at this throughput, s")


class LayerView(_View):
    """What one layer of a run found, and how it compares with the ground truth."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LAYER]})

    n_selections: int | None = Field(description="null in old indexes")
    n_recordings: int | None = Field(description="recordings that were looked at; null in old indexes")
    hours: float | None = Field(description="their length; null in old indexes")
    generated_at: str | None
    metrics: dict[str, float | None] = Field(description="the numbers of metrics.csv; empty before the comparison")


class RunView(_View):
    """A model with a variant: its layers, `evaluation` (the network) and `postrf` (after the forest)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RUN]})

    model: str
    variant: str
    set: str | None = Field(description="the set of recordings; null for the benchmark itself")
    layers: dict[str, LayerView]


class Problem(_View):
    """Why a request was not answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"detail": "no task 'predict/x'"}]})

    detail: str


class Change(_View):
    """The data of an event: something has changed, here is the outline."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"version": 7, "stages": [_STAGE], "changed": [_TASK["id"]], "n_changed": 1, "n_runs": 4}]
        }
    )

    version: int = Field(description="counts up with every change")
    stages: list[StageView]
    changed: Annotated[list[str], Field(description="ids of the tasks that changed since the version before; some")]
    n_changed: int
    n_runs: int
