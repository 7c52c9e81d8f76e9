"""What may keep tasks from running on this cluster, found out before they are submitted."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from hum_shared.errors import HumError, InputError, MachineError
from hum_shared.files import read_text, sha256_file
from hum_slurm.batch import requested
from hum_slurm.context import Context
from hum_slurm.durations import parse_minutes
from hum_slurm.programs import ask, is_installed, output_of
from hum_slurm.runtime import check_script
from hum_slurm.site import JobSettings
from hum_slurm.slurm_config import Partition, max_array_size, parse_config, parse_partitions
from hum_slurm.stages import STAGE_NAMES, StageName, stage
from hum_slurm.written import WrittenStage, written_stages

_LITTLE_SPACE_BYTES = 10 * 1024**3
_TEST_JOB_MINUTES = 2
_TEST_JOB_WAIT_S = 900.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a problem's text says what to do."""

    state: Literal["ok", "warning", "problem"]
    text: str


def examine(context: Context, *, test_job: bool) -> Iterator[Finding]:
    """Yield what was found, in the order in which things have to be mended.

    Parameters
    ----------
    context
        Workspace and site.
    test_job
        Whether to submit a job of one task and wait for it.
    """
    unfilled = _unfilled(context)
    yield from unfilled or [Finding("ok", f"site {context.site.name}: every value is filled in")]
    yield from _runtime(context)
    yield _free_space(context.workspace.root)
    stages = written_stages(context.workspace)
    yield from _inputs(context, stages)
    if not is_installed("sbatch") or not is_installed("scontrol"):
        yield Finding(
            "problem", "no sbatch and scontrol on the PATH: run hum-slurm doctor on a login node of the cluster"
        )
        return
    try:
        config = parse_config(output_of("scontrol", "show", "config"))
        partitions = parse_partitions(output_of("scontrol", "--oneliner", "show", "partition"))
    except MachineError as error:
        yield Finding("problem", f"Slurm does not answer: {error}")
        return
    yield Finding("ok", f"Slurm {config.get('SLURM_VERSION', '')} of cluster {config.get('ClusterName', '')} answers")
    yield from _accounting(config.get("AccountingStorageType", ""), config.get("JobCompType", ""))
    yield _array_size(context.site.file.max_array_size, max_array_size(config))
    if unfilled:
        return
    for name in STAGE_NAMES:
        yield from examine_partition(name, context.site.job(name), partitions)
    yield from _accepted(context)
    if test_job:
        yield _test_job(context)


def examine_partition(name: StageName, settings: JobSettings, partitions: dict[str, Partition]) -> list[Finding]:
    """Return what is wrong with a stage's partition and time limit; empty when nothing is."""
    if settings.partition is None:
        default = [found for found in partitions.values() if found.is_default]
        if not default:
            return [Finding("problem", f"{name}: no partition in the site file, and the cluster has no default one")]
        found = default[0]
    elif settings.partition not in partitions:
        return [
            Finding("problem", f"{name}: no partition {settings.partition}; there are {', '.join(sorted(partitions))}")
        ]
    else:
        found = partitions[settings.partition]
    out = []
    if not found.is_up:
        out.append(Finding("problem", f"{name}: partition {found.name} is not up; choose another, or wait"))
    minutes = parse_minutes(settings.time or "")
    if minutes is not None and found.max_minutes is not None and minutes > found.max_minutes:
        out.append(
            Finding(
                "problem",
                f"{name}: time {settings.time} is more than partition {found.name} allows, {found.max_minutes} minutes",
            )
        )
    if minutes is not None and minutes * 60 <= 2 * settings.signal_lead_s:
        out.append(
            Finding(
                "warning", f"{name}: told to save {settings.signal_lead_s} s before its end, of {settings.time} in all"
            )
        )
    return out


def _unfilled(context: Context) -> list[Finding]:
    checks: list[Callable[[], object]] = [
        *(partial(context.site.filled, context.site.job(name), name) for name in STAGE_NAMES),
        partial(context.site.filled_roots, context.lacking_roots),
    ]
    found = []
    for check in checks:
        try:
            check()
        except HumError as error:
            found.append(Finding("problem", str(error)))
    return found[:1] if len({finding.text.partition(":")[2] for finding in found}) == 1 else found


def _runtime(context: Context) -> list[Finding]:
    file = context.site.file
    if file.runtime == "venv":
        return [Finding("ok", "runtime venv: the environment that hum-slurm lies in")]
    out = []
    if not is_installed("apptainer"):
        modules = sorted({module for name in STAGE_NAMES for module in context.site.job(name).modules})
        hint = f"the site loads {', '.join(modules)}" if modules else "add a module to the site file that brings it"
        out.append(
            Finding("warning", f"no apptainer on the PATH here; {hint}; the test job shows whether jobs find it")
        )
    try:
        folder = context.workspace.resolve(file.images)
    except InputError as error:
        return [*out, Finding("problem", f"images of site {context.site.name}: {error}")]
    listed = _listed_digests(folder / "SHA256SUMS")
    for service in sorted({stage(name).service for name in STAGE_NAMES}):
        image = folder / f"{service}.sif"
        if not image.is_file():
            out.append(Finding("problem", f"{image}: no such image; copy it there, or run make build-sif-{service}"))
        elif image.name not in listed:
            out.append(Finding("warning", f"{image}: not in {folder / 'SHA256SUMS'}, so a broken copy goes unseen"))
        elif sha256_file(image) != listed[image.name]:
            out.append(Finding("problem", f"{image}: not the one in {folder / 'SHA256SUMS'}; copy it again"))
        else:
            out.append(Finding("ok", f"{image}: {listed[image.name][:12]}"))
    return out


def _listed_digests(sums: Path) -> dict[str, str]:
    if not sums.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in read_text(sums).splitlines() if line.strip())
    return {Path(name.lstrip("*")).name: digest for digest, name in pairs}


def _free_space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {free / 1024**3:.0f} GB free"
    if free < _LITTLE_SPACE_BYTES:
        return Finding("warning", f"{text}; score tracks and checkpoints may need more")
    return Finding("ok", text)


def _inputs(context: Context, stages: Sequence[WrittenStage]) -> list[Finding]:
    """Look at what tasks read and no other task writes."""
    resolve = context.workspace.resolve
    rows = [row for written in stages for row in written.rows]
    made = {resolve(text) for row in rows for text in row.outputs}
    out, seen = [], set()
    for row in rows:
        for text in row.inputs:
            path = resolve(text)
            if path in seen or any(path.is_relative_to(one) or one.is_relative_to(path) for one in made):
                continue
            seen.add(path)
            if path.exists() and not os.access(path, os.R_OK):
                out.append(Finding("problem", f"{path}: cannot be read; {row.stage} {row.task} needs it"))
    if not out:
        out.append(Finding("ok", f"{len(seen)} inputs of {len(rows)} tasks looked at: what is there can be read"))
    return out


def _accounting(storage: str, finished: str) -> list[Finding]:
    if storage in ("", "accounting_storage/none") and finished != "jobcomp/filetxt":
        text = "no accounting: once Slurm has forgotten why a job failed, retry-failed gives it no more memory or time"
        return [Finding("warning", text)]
    return []


def _array_size(of_site: int | None, of_cluster: int) -> Finding:
    if of_site is not None and of_site > of_cluster:
        return Finding("problem", f"max_array_size is {of_site} in the site file, {of_cluster} here; remove it there")
    return Finding("ok", f"MaxArraySize {of_cluster}: with more rows one index takes several")


def _accepted(context: Context) -> Iterator[Finding]:
    """Ask sbatch whether it would take a job of each stage; stages with equal requests are one question."""
    asked: dict[tuple[str, ...], list[StageName]] = {}
    for name in STAGE_NAMES:
        asked.setdefault(tuple(requested(context.site.job(name))), []).append(name)
    for options, names in asked.items():
        answer = ask("sbatch", "--test-only", *" ".join(options).split(), "--wrap=true")
        shown = f"{', '.join(names)}: sbatch {' '.join(options)}"
        if answer.exit_code == 0:
            yield Finding("ok", f"{shown} would be accepted")
        else:
            yield Finding("problem", f"{shown} is refused: {answer.reason}; correct the site file")


def _test_job(context: Context) -> Finding:
    """Run a job of one task with the runtime of the evaluation and wait for it; one that does not end is taken back."""
    settings = context.site.job("evaluate").model_copy(update={"time": f"0:{_TEST_JOB_MINUTES:02d}:00"})
    log = context.workspace.root / "doctor_%j.out"
    script = check_script(context.workspace, context.site.file, settings, Path(sys.prefix))
    name = f"hum-doctor-{secrets.token_hex(4)}"  # sbatch tells the id only once the job has ended
    try:
        answer = ask(
            "sbatch", "--wait", "--parsable", f"--job-name={name}", f"--output={log}",
            *" ".join(requested(settings)).split(), f"--wrap={script}", timeout_s=_TEST_JOB_WAIT_S,
        )  # fmt: skip
    except (MachineError, KeyboardInterrupt) as error:
        cancelled = ask("scancel", f"--name={name}")
        if isinstance(error, KeyboardInterrupt):
            raise
        taken_back = "it was taken back" if cancelled.exit_code == 0 else f"take it back: scancel --name={name}"
        return Finding(
            "problem",
            f"the test job {name} has not ended after {_TEST_JOB_WAIT_S / 60:.0f} minutes; {taken_back}. "
            "The queue may be full: try again later, or leave it out with --no-test-job",
        )
    job = answer.output.strip().partition(";")[0]
    written = Path(str(log).replace("%j", job))
    said = written.read_text("utf-8", errors="replace").strip() if written.is_file() else answer.reason
    if answer.exit_code == 0:
        written.unlink(missing_ok=True)
        return Finding("ok", f"a test job ran: {said.splitlines()[-1] if said else job}")
    last = said.splitlines()[-1] if said else f"exit {answer.exit_code}"
    return Finding("problem", f"the test job {job} failed: {last}; see {written}")
