"""Batch scripts as text: the result of a pure function of stage, manifest, rows, workspace and site.

A task of the array finds its rows by number and lets `hum_shared.task` read the command from the manifest, inside
the runtime that holds the service. No command or argument of a row is ever pasted into the script. The paths that a
container is shown are, quoted, and the workspace's own: a workspace that was moved gets new scripts by running its
factories again.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.layout import Jobs, Workspace
from hum_shared.manifest import Row
from hum_slurm.runtime import apptainer_runtime, scratch_folder, venv_runtime
from hum_slurm.site import JobSettings, SiteFile
from hum_slurm.stages import Stage

ROW_BEGINS = re.compile(r"=== row (\d+), attempt \d+")
"""The line that a script prints before what a row prints; rows and attempts share the log of their task."""


@dataclass(frozen=True)
class ArrayJob:
    """One array: consecutive rows of a stage's manifest.

    Attributes
    ----------
    stage
        The stage the rows belong to.
    script
        Where the script will lie; also names the job.
    manifest, manifest_sha256
        The manifest the rows stand in and its digest.
    rows
        The rows, consecutive.
    concurrency
        Tasks that run at a time.
    max_array_size
        The cluster's MaxArraySize: one more than the highest index. With more rows a task takes several.
    """

    stage: Stage
    script: Path
    manifest: Path
    manifest_sha256: str
    rows: Sequence[Row]
    concurrency: int
    max_array_size: int = 1001

    @property
    def rows_per_task(self) -> int:
        """How many consecutive rows one task of the array takes."""
        return math.ceil(len(self.rows) / self.max_array_size)

    @property
    def name(self) -> str:
        """The job's name in Slurm."""
        return job_name(self.script)


def job_name(script: Path) -> str:
    """Return the name that the jobs of a batch script have in Slurm, of plain characters only."""
    return "hum-" + re.sub(r"[^A-Za-z0-9._-]+", "_", script.stem)


def array_script(
    job: ArrayJob, workspace: Workspace, jobs: Jobs, site: SiteFile, settings: JobSettings, environment: Path
) -> str:
    """Return the text of an array's batch script.

    Parameters
    ----------
    job
        What the array runs; at least one row.
    workspace
        Where it runs; its path and the roots that the rows name stand in the script.
    jobs
        The folder of manifest, logs and script.
    site, settings
        The cluster, and what it is asked for.
    environment
        The virtual environment used when the site's runtime is ``venv``.
    """
    n_tasks = math.ceil(len(job.rows) / job.rows_per_task)
    header = [
        f"--job-name={job.name}",
        f"--chdir={_header_quoted(str(workspace.root))}",
        f"--output={_log_pattern(jobs, f'{job.name}_%A_%a.out')}",
        f"--array=0-{n_tasks - 1}%{job.concurrency}",
        *requested(settings),
        "--requeue",
        "--open-mode=append",
        f"--signal=B:USR1@{settings.signal_lead_s}",
    ]
    parts = [
        "#!/bin/bash",
        f"# {job.stage.name}: {len(job.rows)} rows of {job.manifest.name}. Written by hum-slurm {job.stage.factory}.",
        *(f"#SBATCH {option}" for option in header),
        "",
        "# shellcheck disable=SC2016,SC2054,SC2317,SC2329  # paths are meant literally; the traps call forward",
        f"workspace={shlex.quote(str(workspace.root))}",
        f"script={shlex.quote(str(job.script))}",
        f"manifest={shlex.quote(_in_workspace(job.manifest, workspace))}",
        f"manifest_sha256={job.manifest_sha256}",
        f"outcome={shlex.quote(f'{_in_workspace(jobs.logs, workspace)}/{job.stage.name}')}",
        f"first_row={job.rows[0].index}",
        f"n_rows={len(job.rows)}",
        f"rows_per_task={job.rows_per_task}",
        _SUBMIT_ITSELF,
        # Before `set -u`, which the function `module` of some clusters does not stand.
        *(f"module load {shlex.quote(module)} || exit 1" for module in settings.modules),
        "set -uo pipefail",
        f'scratch=$(mktemp -d "{scratch_folder(site.scratch)}/{job.name}.XXXXXX") || exit 1',
        "trap 'rm -rf \"$scratch\"' EXIT",
        f"threads={settings.cpus or '${SLURM_CPUS_PER_TASK:-1}'}",
        venv_runtime(environment, settings)
        if site.runtime == "venv"
        else apptainer_runtime(job.stage.service, job.manifest, job.rows, workspace, site, settings),
        _RUN_ROWS,
    ]
    return "\n".join(parts)


def launcher_script(
    stage: Stage, scripts: Sequence[Path], settings: JobSettings, workspace: Workspace, jobs: Jobs
) -> str:
    """Return the text of the script that submits several arrays; it works with bash and with sbatch."""
    header = [
        f"--job-name=hum-{stage.name}-launcher",
        f"--chdir={_header_quoted(str(workspace.root))}",
        f"--output={_log_pattern(jobs, f'hum-{stage.name}-launcher_%j.out')}",
        *requested(JobSettings(partition=settings.partition, account=settings.account, qos=settings.qos)),
        "--time=00:05:00",
    ]
    lines = [
        "#!/bin/bash",
        f"# Submits the arrays of {stage.name}; options given to it go to every sbatch.",
        *(f"#SBATCH {option}" for option in header),
        "",
        "# shellcheck disable=SC2016  # paths are meant literally",
        "set -e",
        *(f'sbatch "$@" {shlex.quote(str(script))}' for script in scripts),
    ]
    return "\n".join(lines) + "\n"


def _in_workspace(path: Path, workspace: Workspace) -> str:
    return path.relative_to(workspace.root).as_posix() if path.is_relative_to(workspace.root) else str(path)


def requested(settings: JobSettings) -> list[str]:
    """Return what jobs ask for as options of sbatch, each as it stands in a header."""
    options = {
        "--partition": settings.partition,
        "--account": settings.account,
        "--qos": settings.qos,
        "--time": settings.time,
        "--cpus-per-task": settings.cpus,
        "--mem": settings.memory,
        "--constraint": settings.constraint,
    }
    return [f"{option}={value}" for option, value in options.items() if value is not None] + (
        [settings.gpu] if settings.gpu else []
    )


def _log_pattern(jobs: Jobs, name: str) -> str:
    """Return a value of `--output`; absolute, since sbatch would read a `%` in the folder it puts before."""
    return _header_quoted(f"{str(jobs.logs).replace('%', '%%')}/{name}")


def _header_quoted(text: str) -> str:
    """Quote a value of an `#SBATCH` line: sbatch knows double quotes and backslashes, and expands nothing."""
    if re.fullmatch(r"[\w./%@+=:,-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_SUBMIT_ITSELF = """\

if [[ -z ${SLURM_ARRAY_TASK_ID:-} ]]; then
    exec sbatch "$@" "$script"
fi
job=${SLURM_ARRAY_JOB_ID:-0}_$SLURM_ARRAY_TASK_ID # 0: by hand, with an index
cd "$workspace" || exit 1
"""

_RUN_ROWS = """\

# Slurm signals this shell alone. The task runs in the background, is told, and is waited for until it has ended:
# a trapped signal ends `wait` early.
child=
stop_signal=
forward() {
    stop_signal=$1
    signalled=1
    if [[ -n $child ]]; then kill -s "$1" "$child" 2>/dev/null; fi
}
trap 'forward USR1' USR1
trap 'forward TERM' TERM

# Arguments are the rows wanted, as 3 or 2-5; without any, all.
is_wanted() {
    local row=$1 range
    shift
    for range in "$@"; do
        if ((row >= ${range%-*} && row <= ${range#*-})); then return 0; fi
    done
    (($# == 0))
}

run_row() {
    local code
    echo "=== row $1, attempt $((${SLURM_RESTART_COUNT:-0} + 1))"
    "${runtime[@]}" -m hum_shared.task "$manifest" "$manifest_sha256" "$1" &
    child=$!
    if [[ -n $stop_signal ]]; then kill -s "$stop_signal" "$child" 2>/dev/null; fi
    while :; do
        signalled=
        wait "$child"
        code=$?
        if [[ -z $signalled ]]; then break; fi
    done
    child=
    # Killed by the signal it was told with: it had not yet begun to listen, and there was nothing to save.
    if [[ -n $stop_signal ]] && ((code == 138 || code == 143)); then code=75; fi
    return "$code"
}

record() {
    # Written anew since this was submitted, the manifest has another row of this number: the file is that one's.
    if [[ $(sha256sum <"$manifest") != "$manifest_sha256 "* ]]; then return; fi
    printf '{"manifest_sha256": "%s", "index": %d, "exit_code": %d, "job": "%s"}\\n' \\
        "$manifest_sha256" "$1" "$2" "$job" >"$scratch/outcome.json"
    cp "$scratch/outcome.json" "${outcome}_$1.outcome.json.part" &&
        mv "${outcome}_$1.outcome.json.part" "${outcome}_$1.outcome.json"
}

requeue() {
    # Slurm is ending this job: somebody cancelled it, and a requeue would bring it back; or its time is up; or it is
    # preempted, and Slurm requeues it.
    if [[ $(squeue --noheader --jobs="$job" --format=%T 2>/dev/null) == COMPLETING ]]; then
        echo "Slurm is ending this job (cancelled, preempted or out of time): not requeued from here" >&2
    elif ((${SLURM_RESTART_COUNT:-0} < 5)); then
        scontrol requeue "$job"
    else
        echo "stopped and requeued 5 times already: give it more time, then submit it again" >&2
    fi
    exit 75
}

first=$((first_row + SLURM_ARRAY_TASK_ID * rows_per_task))
last=$((first + rows_per_task))
if ((last > first_row + n_rows)); then last=$((first_row + n_rows)); fi
worst=0
for ((row = first; row < last; row++)); do
    if ! is_wanted "$row" "$@"; then continue; fi
    if [[ -n $stop_signal ]]; then requeue; fi
    run_row "$row"
    code=$?
    record "$row" "$code"
    case $code in
        0) ;;
        3) echo "row $row is partial: some recordings failed, see failures.json; the chain goes on" ;;
        75) requeue ;;
        2) if ((worst == 0)); then worst=2; fi ;;
        *) worst=$code ;;
    esac
done
exit "$worst"
"""
