"""The commands about places: is this cluster fit for the tasks, and the same runs on another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hum_shared.command import say
from hum_shared.errors import InputError
from hum_slurm.commands.options import SiteName, WorkspaceDir
from hum_slurm.context import open_context
from hum_slurm.doctor import examine
from hum_slurm.pack_file import read_pack, write_pack
from hum_slurm.packing import make_pack
from hum_slurm.site import shipped_site_names
from hum_slurm.unpacking import plan_all_scripts, plan_workspace, verify


def doctor(
    site: SiteName = None,
    test_job: Annotated[bool, typer.Option("--test-job/--no-test-job", help="run a job of one task")] = True,
    workspace: WorkspaceDir = Path(),
) -> None:
    """Check site file, cluster, images, space and inputs, and run a test job; says what to mend.

    Example: hum-slurm doctor --site gwdg.toml
    """
    found = []
    for finding in examine(open_context(workspace, site), test_job=test_job):
        found.append(finding)
        say(f"{finding.state:<8} {finding.text}")
    problems = [finding.text for finding in found if finding.state == "problem"]
    if problems:
        raise InputError(f"{len(problems)} problems; the first: {problems[0]}")


def pack(
    out: Annotated[Path, typer.Option(help="the file to write, for example runs.tar.gz")],
    workspace: WorkspaceDir = Path(),
) -> None:
    """Collect what repeats the runs elsewhere: settings, cfgs, tasks, and digests of inputs, models and images.

    Recordings, models and images themselves are not packed.

    Example: hum-slurm pack --out runs.tar.gz
    """
    packed = make_pack(open_context(workspace))
    write_pack(out, packed)
    about = packed.description
    say(
        f"{out}: {len(about.files)} files of {len(about.stages)} stages; digests of {len(about.inputs)} inputs, "
        f"{len(about.models)} models, {len(about.images)} images and {len(about.results)} results"
    )


def unpack(
    file: Annotated[Path, typer.Argument(help="what hum-slurm pack wrote")],
    site: Annotated[str, typer.Option(help=f"{', '.join(shipped_site_names())} or a .toml file")],
    workspace: WorkspaceDir = Path(),
) -> None:
    """Recreate a packed workspace for a site, and check inputs, models, images and results against the pack.

    Run it again once the inputs are copied, and once more when all has run, to compare the results.

    Example: hum-slurm unpack runs.tar.gz --site gwdg.toml --workspace repeated
    """
    packed = read_pack(file)
    plan_workspace(packed, open_context(workspace, site)).write()
    context = open_context(workspace, site)
    changed = plan_all_scripts(packed, context).write()
    say(f"{context.workspace.root}: {len(packed.files)} files of the pack, {len(changed)} batch scripts written")
    problems = []
    for remark in verify(packed, context):
        say(f"{remark.state:<8} {remark.text}")
        problems += [remark.text] if remark.state == "problem" else []
    if problems:
        raise InputError(f"not the same as what was packed: {problems[0]}")
