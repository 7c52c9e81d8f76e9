"""A snapshot as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hum_shared.status.snapshot import Snapshot
from hum_shared.status.views import TaskView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[Mapping[str, str], float]


def prometheus_text(snapshot: Snapshot, n_listeners: int) -> str:
    """Return the metrics of a workspace: tasks by stage and state, throughput, running tasks, runs.

    Parameters
    ----------
    snapshot
        What to tell.
    n_listeners
        Clients that listen to events.
    """
    running = [task for task in snapshot.tasks.values() if task.state == "running"]
    parts = [
        _metric(
            "hum_tasks",
            "Tasks by stage and state.",
            (
                ({"stage": stage.stage, "state": state}, count)
                for stage in snapshot.stages
                for state, count in stage.counts.items()
            ),
        ),
        _metric(
            "hum_stage_share",
            "How much of a stage is done, 0 to 1.",
            (({"stage": stage.stage}, stage.share) for stage in snapshot.stages),
        ),
        _metric(
            "hum_stage_rate",
            "Throughput of a stage's running tasks, units per second.",
            (
                ({"stage": stage.stage, "unit": stage.unit or ""}, stage.rate)
                for stage in snapshot.stages
                if stage.rate is not None
            ),
        ),
        _metric(
            "hum_task_share",
            "How much of a running task is done, 0 to 1.",
            ((_labels(task), task.share) for task in running if task.share is not None),
        ),
        _metric(
            "hum_task_rate",
            "Speed of a running task, units per second.",
            ((_labels(task), task.rate) for task in running if task.rate is not None),
        ),
        _metric(
            "hum_run",
            "Numbers of finished runs, as in metrics.csv.",
            (
                (
                    {
                        "set": run.set or "",
                        "model": run.model,
                        "variant": run.variant,
                        "layer": layer,
                        "metric": metric,
                    },
                    value,
                )
                for run in snapshot.runs
                for layer, found in run.layers.items()
                for metric, value in found.metrics.items()
                if value is not None
            ),
        ),
        _metric("hum_status_look_seconds", "How long the last look at the workspace took.", [({}, snapshot.took_s)]),
        _metric("hum_status_listeners", "Clients that listen to events.", [({}, n_listeners)]),
        _metric("hum_status_problems", "Files that cannot be read.", [({}, len(snapshot.problems))]),
    ]
    return "".join(parts)


def _metric(name: str, about: str, samples: Iterable[_Sample]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{shown}}} {float(value)!r}" if shown else f"{name} {float(value)!r}")
    return "\n".join(lines) + "\n"


def _labels(task: TaskView) -> dict[str, str]:
    return {"stage": task.stage, "task": task.task, "unit": task.unit}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
