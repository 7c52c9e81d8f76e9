"""Collects what repeats a workspace's runs elsewhere: settings, cfgs, tasks, and digests of everything they used."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import hum_shared
from hum_shared.errors import InputError
from hum_shared.files import read_text, sha256_file
from hum_shared.layout import Workspace
from hum_shared.provenance import git_commit, utc_now
from hum_slurm.binds import read_paths
from hum_slurm.context import Context
from hum_slurm.pack_file import Description, Pack, PackedArray, PackedStage, sha256_bytes
from hum_slurm.site import SiteFile
from hum_slurm.written import WrittenStage, written_stages

_LAUNCHER = re.compile(r"^# Submits the arrays of (\S+);", re.M)
_MODEL_STAGES = ("train", "rf-train")


def make_pack(context: Context) -> Pack:
    """Return the pack of a workspace.

    Raises
    ------
    InputError
        When no stage is written, or a file cannot be read.
    """
    workspace = context.workspace
    stages = written_stages(workspace)
    if not stages:
        raise InputError(f"{workspace.root}: nothing to pack: no stage is written. Run hum-slurm training first.")
    files = {workspace.relative(path): _text_bytes(path) for path in _small_files(context, stages)}
    results = {workspace.relative(path): path.read_bytes() for path in index_files(workspace)}
    models = _models(workspace, stages)
    inputs = {
        name: digest
        for name, digest in _inputs(workspace, stages).items()
        if name not in files and name not in models and name not in results
    }
    description = Description(
        created_at=utc_now(),
        code_version=hum_shared.__version__,
        git_commit=git_commit(),
        cpu=cpu_type(),
        settings=context.settings.model_copy(update={"site": "generic", "roots": {}}),
        roots=sorted(workspace.roots),
        stages=[_packed(written) for written in stages],
        files={name: sha256_bytes(data) for name, data in files.items()},
        inputs=inputs,
        models=models,
        images=image_digests(context.site.file, workspace),
        results={workspace.relative(path): sha256_file(path) for path in result_files(workspace)},
    )
    return Pack(description, files, results)


def index_files(workspace: Workspace) -> list[Path]:
    """Return the indexes of all runs, sorted."""
    return sorted(workspace.benchmark().root.glob("**/runs/*/*/*/index.json"))


def result_files(workspace: Workspace) -> list[Path]:
    """Return the indexes and tables of all runs, sorted."""
    tables = workspace.benchmark().root.glob("**/runs/*/*/*/annotations/*.txt")
    return sorted([*index_files(workspace), *tables])


def image_digests(site: SiteFile, workspace: Workspace) -> dict[str, str]:
    """Return image name → SHA-256; empty where the site's runtime needs none."""
    if site.runtime == "venv":
        return {}
    return {path.name: sha256_file(path) for path in sorted(workspace.resolve(site.images).glob("*.sif"))}


def cpu_type() -> str:
    """Return what kind of CPU this is, as its maker calls it."""
    try:
        info = read_text(Path("/proc/cpuinfo"))
    except InputError:  # no Linux
        return platform.processor()
    names = re.findall(r"^model name\s*: (.*)$", info, re.M)
    return names[0] if names else platform.processor()


def _packed(written: WrittenStage) -> PackedStage:
    launchers = [
        script.name
        for script in sorted(written.jobs.root.glob("*.batch"))
        if (found := _LAUNCHER.search(read_text(script))) and found[1] == written.stage.name
    ]
    return PackedStage(
        stage=written.stage.name,
        set_name=written.set_name,
        manifest_sha256=written.manifest_sha256,
        arrays=[
            PackedArray(
                script=array.script.name,
                first_row=array.rows[0].index,
                n_rows=len(array.rows),
                concurrency=array.concurrency,
            )
            for array in written.arrays
        ],
        launcher=launchers[0] if launchers else None,
    )


def _small_files(context: Context, stages: Sequence[WrittenStage]) -> list[Path]:
    """Return cfgs, manifests and variant files that lie in the workspace, sorted."""
    workspace, settings = context.workspace, context.settings
    found = set(workspace.root.glob("*.json"))
    named = [settings.train_variants, settings.benchmark_variants]
    found |= {path for text in named if text and (path := workspace.resolve(text)).is_file()}
    for folder in (workspace.training, workspace.benchmark().root):
        found |= set(folder.glob("**/cfg/*/**/*.cfg"))
    found |= {written.jobs.manifest(written.stage.name) for written in stages}
    return sorted(path for path in found if path.is_relative_to(workspace.root))


def _text_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises InputError where they are no text, which unpacking could not write."""
    read_text(path)
    return path.read_bytes()


def _models(workspace: Workspace, stages: Sequence[WrittenStage]) -> dict[str, str]:
    paths = {path for suffix in ("pk", "pt") for path in workspace.models_root.glob(f"*/models/*.{suffix}")}
    for written in stages:
        if written.stage.name in _MODEL_STAGES:
            paths |= {workspace.resolve(text) for row in written.rows for text in row.outputs}
    return {workspace.relative(path): sha256_file(path) for path in sorted(paths) if path.is_file()}


def _inputs(workspace: Workspace, stages: Sequence[WrittenStage]) -> dict[str, str]:
    """Return what tasks read and no task writes, file by file."""
    rows = [row for written in stages for row in written.rows]
    made = {workspace.resolve(text) for row in rows for text in [*row.outputs, *row.state]}
    made |= {workspace.benchmark().root, workspace.training}
    found: dict[str, str] = {}
    for path in read_paths(rows, workspace):
        if not any(path.is_relative_to(one) for one in made):
            found |= {workspace.relative(file): sha256_file(file) for file in _files_of(path)}
    return dict(sorted(found.items()))


def _files_of(path: Path) -> Iterable[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
