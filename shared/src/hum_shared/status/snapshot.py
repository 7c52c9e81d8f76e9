"""What a workspace looks like at one moment, and how it is taken: quickly, from what has changed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from hum_shared.layout import Workspace
from hum_shared.progress import TaskProgress, is_lost
from hum_shared.status.inside import Inside, Parsed
from hum_shared.status.runs import RunFiles
from hum_shared.status.task_files import TaskFiles, showable
from hum_shared.status.tasks import Evidence, stage_rank, stage_views, view
from hum_shared.status.views import RunView, StageView, TaskView

_STATE_BYTES = 1 << 18


@dataclass(frozen=True)
class Snapshot:
    """One moment. `json` holds every task as it is sent; both are in the order of stages and names.

    Attributes
    ----------
    version
        Counts up whenever anything changes.
    changed
        Ids of the tasks that differ from the version before.
    problems
        What could not be read, with the reason.
    took_s
        How long it took to take.
    """

    name: str
    version: int = 0
    tasks: dict[str, TaskView] = field(default_factory=dict)
    json: dict[str, bytes] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    stages: list[StageView] = field(default_factory=list)
    runs: list[RunView] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    taken: datetime | None = None
    took_s: float = 0.0


class Source(Protocol):
    """Where snapshots come from. Not to be used by two threads at once, but for :meth:`log`."""

    name: str

    def read(self) -> tuple[dict[str, Evidence], list[RunView], list[str]]:
        """Return tasks by id, runs, and what could not be read."""

    def log(self, evidence: Evidence, max_bytes: int) -> tuple[str, bytes] | None:
        """Return a task's log: its path and last bytes; None without one."""


class WorkspaceSource:
    """All tasks and runs of a workspace."""

    def __init__(self, root: Path):
        workspace, inside = Workspace(root.absolute()), Inside(root)
        self.name, self._root = showable(inside.root.name), inside.root
        self._tasks, self._runs = TaskFiles(workspace, inside), RunFiles(workspace, inside)

    def read(self) -> tuple[dict[str, Evidence], list[RunView], list[str]]:
        """Return tasks by id, runs, and what could not be read."""
        tasks, task_problems = self._tasks.read()
        runs, run_problems = self._runs.read()
        # An unmounted file system looks like a new workspace, but for this.
        gone = [] if self._root.is_dir() else [f"{showable(str(self._root))}: the workspace is not there (any more)"]
        return tasks, runs, list(dict.fromkeys(gone + task_problems + run_problems))

    def log(self, evidence: Evidence, max_bytes: int) -> tuple[str, bytes] | None:
        """Return a task's log: its path and last bytes; None without one."""
        return self._tasks.log(evidence, max_bytes)


class TaskSource:
    """The one task that keeps its progress in `file`; its log counts where it lies in the workspace."""

    def __init__(self, file: Path, workspace: Path):
        self._file = file.absolute()
        self._folder, self._workspace = Inside(self._file.parent), Inside(workspace)
        self._progress = Parsed(self._read_progress, ValidationError)
        self.name = showable(self._workspace.root.name)

    def read(self) -> tuple[dict[str, Evidence], list[RunView], list[str]]:
        """Return the task by its id, no runs, and what could not be read."""
        folder, name = self._file.parent, self._file.name
        values, problems = self._progress.get(folder, self._folder.listing(folder, name).files)
        if name not in values:
            return {}, [], list(problems.values())
        one = Evidence(values[name].stage, values[name].task, progress=values[name])
        return {f"{one.stage}/{one.task}": one}, [], list(problems.values())

    def log(self, evidence: Evidence, max_bytes: int) -> tuple[str, bytes] | None:
        """Return the task's log: its path and last bytes; None without one."""
        if evidence.progress is None or evidence.progress.log is None:
            return None
        path = Path(evidence.progress.log).resolve()
        if not path.is_relative_to(self._workspace.root):
            return None
        try:
            return path.relative_to(self._workspace.root).as_posix(), self._workspace.tail(path, max_bytes)
        except FileNotFoundError:
            return None

    def _read_progress(self, path: Path) -> TaskProgress:
        return TaskProgress.model_validate_json(self._folder.read(path, _STATE_BYTES))


def take(source: Source, before: Snapshot) -> Snapshot:
    """Return how things are now; what is as it was `before` is taken over, and with it the version."""
    start = time.perf_counter()
    evidence, runs, problems = source.read()
    now = datetime.now(UTC)
    tasks: dict[str, TaskView] = {}
    texts: dict[str, bytes] = {}
    changed: list[str] = []
    if evidence.keys() == before.evidence.keys():
        order = list(before.tasks)
    else:
        order = sorted(evidence, key=lambda task_id: (stage_rank(evidence[task_id].stage), task_id))
    for task_id in order:
        one, old = evidence[task_id], before.tasks.get(task_id)
        if old is not None and one is before.evidence[task_id] and (old.state != "running" or not _died(one, now)):
            tasks[task_id] = old
        else:
            tasks[task_id] = view(one, now)
        if old is tasks[task_id] or old == tasks[task_id]:
            texts[task_id] = before.json[task_id]
        else:
            texts[task_id] = tasks[task_id].model_dump_json().encode()
            changed.append(task_id)
    gone = [task_id for task_id in before.tasks if task_id not in tasks]
    same = not changed and not gone and runs == before.runs and problems == before.problems and before.version > 0
    return Snapshot(
        name=source.name,
        version=before.version if same else before.version + 1,
        tasks=tasks,
        json=texts,
        evidence=evidence,
        stages=before.stages if same else stage_views(tasks.values()),
        runs=runs,
        problems=problems,
        changed=before.changed if same else changed + gone,
        taken=now,
        took_s=time.perf_counter() - start,
    )


def _died(evidence: Evidence, now: datetime) -> bool:
    """Whether a task that was running is lost by now: what a task can become without anything being written."""
    return evidence.progress is not None and is_lost(evidence.progress, now)
