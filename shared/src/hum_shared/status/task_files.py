"""Reading the tasks of a workspace: manifests, progress files, outcomes and logs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hum_shared.errors import InputError
from hum_shared.layout import Jobs, Workspace
from hum_shared.manifest import Row, parse_manifest
from hum_shared.outcome import LOCAL, Outcome
from hum_shared.progress import TaskProgress
from hum_shared.status.inside import Inside, Listing, Parsed, Stamp
from hum_shared.status.tasks import EXIT_STATES, Evidence

_T = TypeVar("_T")

_NO_TEXT = re.compile("[\ud800-\udfff]")  # bytes of a name that are no UTF-8; halves of characters in JSON

MANIFEST_SUFFIX = ".manifest.jsonl"
OUTCOME_SUFFIX = ".outcome.json"
_STATE_BYTES = 1 << 18
_MANIFEST_BYTES = 1 << 28
_LAST_LINE_BYTES = 1 << 13


@dataclass(frozen=True)
class _Manifest:
    sha256: str
    rows: list[tuple[Row, str]]  # with the name of the file that says how the row ended


class TaskFiles:
    """Reads what a workspace knows about its tasks; keeps what has not changed since the last time.

    Parameters
    ----------
    workspace
        The workspace.
    inside
        What may be read of it.
    """

    def __init__(self, workspace: Workspace, inside: Inside):
        # The same place by its real name: paths given to `inside` need no second look at the links above it.
        self._workspace, self._inside = Workspace(inside.root), inside
        self._given_root = workspace.root
        self._manifests = Parsed(self._read_manifest)
        self._progress = Parsed(self._read_progress, ValidationError)
        self._outcomes = Parsed(self._read_outcome, ValidationError)
        self._before: dict[str, Evidence] = {}

    def read(self) -> tuple[dict[str, Evidence], list[str]]:
        """Return every task by its id, and what could not be read, with the reason.

        A task of which nothing has changed is the same object as before.
        """
        problems: list[str] = []
        progress = self._all_progress(problems)
        found: dict[str, Evidence] = {}
        for jobs in self._job_folders(problems):
            logs = jobs.logs
            for row, stage, outcome, outcome_s in self._rows(jobs, problems):
                task_id = f"{stage}/{row.task}"
                if task_id not in found:
                    _, _, said, said_s = progress.pop(task_id, ("", "", None, None))
                    evidence = Evidence(stage, row.task, row, said, outcome, outcome_s, logs, progress_s=said_s)
                    found[task_id] = self._kept_or_complete(task_id, evidence)
        for task_id, (stage, task, said, said_s) in progress.items():
            found[task_id] = self._kept_or_complete(task_id, Evidence(stage, task, progress=said, progress_s=said_s))
        self._before = found
        return found, problems

    def log(self, evidence: Evidence, max_bytes: int) -> tuple[str, bytes] | None:
        """Return the path of a task's log, relative to the workspace, and its last bytes; None without a log."""
        for path in self._log_candidates(evidence):
            try:
                return path.relative_to(self._inside.root).as_posix(), self._inside.tail(path, max_bytes)
            except (OSError, InputError, ValueError):
                continue  # the next place it may be: not there, or none of ours
        return None

    def _log_candidates(self, evidence: Evidence) -> Iterator[Path]:
        outcome, progress, logs = evidence.outcome, evidence.progress, evidence.logs
        if evidence.has_ended and outcome is not None and logs is not None and outcome.job != LOCAL:
            ending = f"_{outcome.job}.out"
            yield from (logs / name for name in self._listing(logs, []).files if name.endswith(ending))
        elif progress is not None and progress.log is not None and not evidence.has_ended:
            path = Path(progress.log)
            # A task may have named the workspace as we were given it, or by its real name.
            within = path.is_relative_to(self._given_root)
            yield self._inside.root / path.relative_to(self._given_root) if within else path
        if logs is not None:
            yield Jobs(logs.parent).log(evidence.stage, evidence.task)

    def _job_folders(self, problems: list[str]) -> list[Jobs]:
        sets = self._listing(self._workspace.sets_root, problems).folders
        benchmarks = [self._workspace.benchmark(name) for name in (None, *sets)]
        return [self._workspace.training_jobs, *(benchmark.jobs for benchmark in benchmarks)]

    def _rows(self, jobs: Jobs, problems: list[str]) -> Iterator[tuple[Row, str, Outcome | None, float]]:
        """Yield each row of a folder's manifests with its stage and, where it belongs to it, how it ended and when."""
        files = self._listing(jobs.root, problems, MANIFEST_SUFFIX).files
        if not files:
            return
        stamps = self._listing(jobs.logs, problems, OUTCOME_SUFFIX).files
        outcomes = self._get(self._outcomes, jobs.logs, stamps, problems)
        for name, manifest in self._get(self._manifests, jobs.root, files, problems).items():
            stage = showable(name.removesuffix(MANIFEST_SUFFIX))
            for row, outcome_name in manifest.rows:
                outcome = outcomes.get(outcome_name)
                if outcome is not None and outcome.manifest_sha256 == manifest.sha256:
                    yield row, stage, outcome, stamps[outcome_name].mtime_ns / 1e9
                else:
                    yield row, stage, None, 0.0

    def _all_progress(self, problems: list[str]) -> dict[str, tuple[str, str, TaskProgress | None, float | None]]:
        """Return what the progress files say: id → stage, task, progress and when the file was written."""
        found: dict[str, tuple[str, str, TaskProgress | None, float | None]] = {}
        for stage in self._listing(self._workspace.progress_root, problems).folders:
            folder = self._workspace.progress_root / stage
            files = self._listing(folder, problems, ".json").files
            for name, progress in self._get(self._progress, folder, files, problems).items():
                task = showable(name.removesuffix(".json"))
                found[f"{showable(stage)}/{task}"] = showable(stage), task, progress, files[name].mtime_ns / 1e9
        return found

    def _kept_or_complete(self, task_id: str, found: Evidence) -> Evidence:
        """Return what was known before if nothing is new, else `found` with the last words of its log."""
        old = self._before.get(task_id)
        if (
            old is not None
            and old.row is found.row
            and old.progress is found.progress
            and old.outcome is found.outcome
            and old.outcome_s == found.outcome_s
        ):
            return old
        said_why = found.progress is not None and found.progress.state == "failed"
        if found.outcome is None or said_why or not found.has_ended or found.outcome.exit_code in EXIT_STATES:
            return found
        log = self.log(found, _LAST_LINE_BYTES)  # it could not say why it failed; perhaps its log does
        return replace(found, last_words=last_line(log[1])) if log else found

    def _listing(self, folder: Path, problems: list[str], suffix: str = "") -> Listing:
        try:
            return self._inside.listing(folder, suffix)
        except (OSError, InputError) as error:
            problems.append(showable(str(error).replace(f"{self._inside.root}/", "")))
            return Listing()

    def _get(self, parsed: Parsed[_T], folder: Path, files: Mapping[str, Stamp], problems: list[str]) -> dict[str, _T]:
        values, wrong = parsed.get(folder, files)
        for name, problem in wrong.items():
            problems.append(f"{showable((folder / name).relative_to(self._inside.root).as_posix())}: {problem}")
        return values

    def _read_manifest(self, path: Path) -> _Manifest:
        content = self._inside.read(path, _MANIFEST_BYTES)
        jobs, stage = Jobs(path.parent), path.name.removesuffix(MANIFEST_SUFFIX)
        rows = parse_manifest(content.decode("utf-8", "replace"), path)
        # What a task names is the digest of the text that its factory wrote: of these bytes.
        return _Manifest(
            hashlib.sha256(content).hexdigest(), [(row, jobs.outcome(stage, row.index).name) for row in rows]
        )

    def _read_progress(self, path: Path) -> TaskProgress:
        return TaskProgress.model_validate_json(self._inside.read(path, _STATE_BYTES))

    def _read_outcome(self, path: Path) -> Outcome:
        return Outcome.model_validate_json(self._inside.read(path, _STATE_BYTES))


def last_line(log: bytes) -> str:
    """Return the last line of a log that says something, without the `error:` that commands begin it with."""
    lines = log.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "").removeprefix("error: ")


def showable(text: str) -> str:
    """Return a file name, or a text of a file, as one that can be sent: what is no UTF-8 is replaced."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)
