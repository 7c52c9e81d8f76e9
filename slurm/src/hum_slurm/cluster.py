"""The cluster's verbs: submit stages, show how they stand, try again what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hum_shared.config.workspace import open_workspace
from hum_shared.errors import InputError, MachineError
from hum_shared.layout import Workspace
from hum_shared.words import listed
from hum_slurm.context import Context, open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.cutouts import plan_cutouts
from hum_slurm.factories.evaluation import plan_evaluation
from hum_slurm.factories.rf import plan_rf
from hum_slurm.factories.training import plan_training
from hum_slurm.plan import Plan
from hum_slurm.programs import is_installed, output_of
from hum_slurm.queue import Queue, ask_queue, jobs_of_scripts
from hum_slurm.retry import changed_since, kept_back, retry_requests
from hum_slurm.row_states import RowState, row_states
from hum_slurm.slurm_config import max_array_size, parse_config, parse_partitions
from hum_slurm.stages import StageName, factory_command, stage, stage_jobs
from hum_slurm.status_report import as_json, as_text, stage_title
from hum_slurm.submissions import Submission, read_submissions
from hum_slurm.submit import Request, as_shell, check_array_size, refusals, requests_of, submit_all
from hum_slurm.written import WrittenStage, is_planned, no_tasks, read_stage, require_submittable, written_stages

Say = Callable[[str], object]


def submit_stages(
    root: Path,
    names: Sequence[StageName],
    set_name: str | None = None,
    *,
    chain: bool,
    dry_run: bool = False,
    say: Say,
) -> None:
    """Write what is missing of the stages, and submit all their arrays.

    Parameters
    ----------
    root
        The workspace.
    names
        The stages, in the order in which they run.
    set_name
        Which set; None for the benchmark itself. The training has none.
    chain
        Whether each stage waits for what it needs of those before it.
    dry_run
        Print the calls of sbatch instead of making them. Stages that are missing are written all the same.
    say
        Told every line for the person.

    Raises
    ------
    InputError
        When a stage stands twice, cannot be written, was written for another place or cluster, or is queued or
        runs already.
    MachineError
        When there is no Slurm here or it refuses an array.
    """
    if len(set(names)) < len(names):
        raise InputError(f"a stage stands twice: {' '.join(names)}. Name each once.")
    context = open_context(root)
    for name in names:
        _write_if_missing(context, name, _set_of(name, set_name), say)
    workspace = open_workspace(context.workspace.root)  # the factories may have made it one
    stages = [read_stage(workspace, name, _set_of(name, set_name)) for name in names]
    for written in stages:
        require_submittable(written, workspace)
    requests = requests_of(stages, workspace, chain=chain)
    _submit(requests, workspace, dry_run=dry_run, all_or_none=True, say=say)


def show_status(root: Path, *, json_output: bool, say: Say) -> None:
    """Print how every task of the workspace stands.

    Parameters
    ----------
    root
        The workspace.
    json_output
        One JSON value instead of lines.
    say
        Told every line.

    Raises
    ------
    InputError
        When there is no such workspace, or a manifest or `submissions.jsonl` cannot be read.
    MachineError
        When Slurm is there but does not answer.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; --workspace wants the one that holds TRAINING/ and BENCHMARK/")
    workspace = open_workspace(root)
    stages = written_stages(workspace)
    submissions, queue = _jobs(workspace, stages)
    states = {
        stage_title(written.stage.name, written.set_name): row_states(written, submissions, queue, workspace)
        for written in stages
    }
    if json_output:
        say(json.dumps(as_json(states, workspace, queue.source), indent=2, ensure_ascii=False))
        return
    if not states:
        say(f"{workspace.root}: no tasks yet. Run hum-slurm training or hum-slurm benchmark first.")
    for line in as_text(states):
        say(line)


def retry_stage(root: Path, name: StageName, set_name: str | None, *, dry_run: bool, say: Say) -> None:
    """Submit again the rows of a stage that have no complete output, or whose cfg was written since.

    Parameters
    ----------
    root, name, set_name
        The workspace and the stage.
    dry_run
        Print the calls of sbatch instead of making them.
    say
        Told every line for the person.

    Raises
    ------
    InputError
        When every such row would only end the same way again.
    MachineError
        When there is no Slurm here or it refuses an array; what it takes is submitted all the same.
    """
    context = open_context(root)
    workspace = context.workspace
    written = read_stage(workspace, name, set_name)
    require_submittable(written, workspace)
    submissions, queue = _jobs(workspace, [written])
    states = [state for state in row_states(written, submissions, queue, workspace) if state.state != "done"]
    live = [state for state in states if state.is_live]
    back = [state for state in states if kept_back(state, lambda row, since: changed_since(row, since, workspace))]
    chosen = [state for state in states if state not in live and state not in back]
    for state in live:
        say(f"{state.row.task}: {state.state} {_job(state)}, left alone")
    for state in back:
        say(f"{state.row.task}: {state.reason}; left alone until something it reads changes{_log(state)}")
    if not chosen:
        failed = [state.row.task for state in back if state.state == "failed"]
        if failed:
            raise InputError(
                f"{len(failed)} of {len(written.rows)} tasks of {name} ended 2, and nothing they read has changed "
                f"since: {listed(failed)}. Correct their input or cfg, then try again."
            )
        say(f"nothing to do: every other task of {name} is complete")
        return
    for state in chosen:
        say(f"{state.row.task}: {state.state}{f', {state.reason}' if state.reason else ''}; once more")
    settings = context.site.job(name)
    requests = retry_requests(written, chosen, settings, _longest_minutes(settings.partition))
    _submit(requests, workspace, dry_run=dry_run, all_or_none=False, say=say)


def _set_of(name: StageName, set_name: str | None) -> str | None:
    return None if name == "train" else set_name


def _write_if_missing(context: Context, name: StageName, set_name: str | None, say: Say) -> None:
    factory = stage(name).factory
    jobs = stage_jobs(context.workspace, name, set_name)
    if jobs.manifest(name).is_file():
        say(f"{stage_title(name, set_name)}: as written; {factory_command(name, set_name)} writes it anew")
        return
    if is_planned(jobs, name):  # with arguments that are not known here
        raise no_tasks(jobs, name, set_name)
    plans: dict[str, Callable[[], Plan]] = {
        "training": lambda: plan_training(context),
        "benchmark": lambda: plan_benchmark(context, set_name=set_name),
        "evaluation": lambda: plan_evaluation(context, set_name=set_name),
        "rf": lambda: plan_rf(context, set_name=set_name),
        "cutouts": lambda: plan_cutouts(context, set_name=set_name),
    }
    plan = plans[factory]()
    changed = plan.write()
    for warning in plan.warnings:
        say(f"warning: {warning}")
    if jobs.manifest(name) not in plan.files:
        raise no_tasks(jobs, name, set_name)
    say(f"{stage_title(name, set_name)}: {len(changed)} files written by hum-slurm {factory}")


def _submit(requests: Sequence[Request], workspace: Workspace, *, dry_run: bool, all_or_none: bool, say: Say) -> None:
    if dry_run:
        for line in as_shell(requests):
            say(line)
        return
    _refuse_twice(requests, workspace)
    check_array_size(requests, max_array_size(parse_config(output_of("scontrol", "show", "config"))))
    refused = refusals(requests)
    if refused and all_or_none:
        raise MachineError(
            f"sbatch would refuse {refused[0][0].array.script}: {refused[0][1]}. Nothing was submitted; "
            "correct the site file and write the stage again (hum-slurm doctor checks it)."
        )
    taken = [request for request in requests if not any(request is one for one, _ in refused)]
    for submission in submit_all(taken, workspace):
        after = f" after {submission.dependency}" if submission.dependency else ""
        say(f"{Path(submission.script).name}: job {submission.job}, indices {submission.indices}{after}")
    if refused:
        named = "; ".join(
            f"{listed(request.tasks())} with {' '.join(request.options())}: {reason}" for request, reason in refused
        )
        raise MachineError(
            f"sbatch would refuse {named}. Name a partition that has as much in the site file, and write the stage "
            f"again: {refused[0][0].stage.factory_command}"
        )


def _refuse_twice(requests: Sequence[Request], workspace: Workspace) -> None:
    stages = {request.stage.manifest_sha256: request.stage for request in requests}
    submissions, queue = _jobs(workspace, list(stages.values()))
    for request in requests:
        wanted = {
            row.index for index in request.indices or request.array.indices for row in request.array.rows_of(index)
        }
        for state in row_states(request.stage, submissions, queue, workspace):
            if state.is_live and state.row.index in wanted:
                end = f"take it back: scancel {state.job.partition('_')[0]}" if state.job else "stop it."
                raise InputError(
                    f"{state.row.task} of {request.stage.stage.name} is {state.state} already, {_job(state)}. "
                    f"Wait for it, or {end}"
                )
    by_script = {request.array.script: request.stage for request in requests}
    known = {one.job for one in submissions}
    for job, script in jobs_of_scripts(list(by_script)).items():
        if job not in known:
            raise InputError(
                f"{script}: job {job} is of this script too, and waits or runs. It was submitted past hum-slurm, or "
                f"before {by_script[script].factory_command} wrote other tasks: what it does would be done twice. "
                f"Wait for it, or take it back: scancel {job}"
            )


def _jobs(workspace: Workspace, stages: Sequence[WrittenStage]) -> tuple[list[Submission], Queue]:
    """Return the submissions of these manifests and what Slurm says about them."""
    manifests = {written.manifest_sha256 for written in stages}
    ours = [one for one in read_submissions(workspace.submissions) if one.manifest_sha256 in manifests]
    return ours, ask_queue([one.job for one in ours])


def _longest_minutes(partition: str | None) -> int | None:
    """Return the time limit of a partition, the default one for None; None without limit or without Slurm."""
    if not is_installed("scontrol"):
        return None
    for found in parse_partitions(output_of("scontrol", "--oneliner", "show", "partition")).values():
        if found.name == partition or (partition is None and found.is_default):
            return found.max_minutes
    return None


def _job(state: RowState) -> str:
    return f"as {state.job}" if state.job else "by no job of Slurm"


def _log(state: RowState) -> str:
    return "" if state.log is None else f" (see {state.log})"
