"""Recreates a packed workspace for another site, and says how far what lies there is what was packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hum_shared.config.workspace import format_settings
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.layout import Workspace
from hum_shared.manifest import read_manifest
from hum_shared.words import listed
from hum_slurm.arrays import plan_scripts
from hum_slurm.context import Context
from hum_slurm.pack_file import Description, Pack
from hum_slurm.packing import cpu_type, image_digests
from hum_slurm.plan import Plan
from hum_slurm.results import compare_results
from hum_slurm.stages import stage, stage_jobs


@dataclass(frozen=True)
class Remark:
    """One thing that `unpack` says; after a problem the runs cannot be repeated as they are."""

    state: Literal["ok", "note", "problem"]
    text: str


def plan_workspace(pack: Pack, context: Context) -> Plan:
    """Plan `workspace.toml`, cfgs and manifests of a pack.

    Parameters
    ----------
    pack
        The pack.
    context
        The new workspace and its site. Where `workspace.toml` is there already, at most roots of the site are added.

    Raises
    ------
    InputError
        When a file that is to be written is there with other content or is no text, or a root of the pack has no
        folder here.
    """
    plan, root = Plan(), context.workspace.root
    if not context.workspace.settings_file.exists():
        settings = pack.description.settings.model_copy(
            update={"site": context.settings.site, "roots": context.settings.roots}
        )
        plan.files[context.workspace.settings_file] = format_settings(settings)
    context.add_lacking_roots(plan)
    unknown = [name for name in pack.description.roots if name not in context.workspace.known_roots]
    if unknown:
        raise InputError(
            f"the pack knows a root {unknown[0]!r}, this workspace does not: name its folder under [roots] of "
            f"{context.site.name} or of {context.workspace.settings_file}"
        )
    for name, data in pack.files.items():
        path = root / name
        if path.exists() and path.read_bytes() != data:
            raise InputError(f"{path}: differs from what was packed. Unpack into an empty folder, or remove the file.")
        try:
            plan.files[path] = data.decode()
        except UnicodeDecodeError:
            raise InputError(
                f"the pack's {name} is not UTF-8 text. Convert or remove it there, and pack again."
            ) from None
    return plan


def plan_all_scripts(pack: Pack, context: Context) -> Plan:
    """Plan the batch scripts for this site, from the manifests that lie here already."""
    plan = Plan()
    for packed in pack.description.stages:
        jobs = stage_jobs(context.workspace, packed.stage, packed.set_name)
        rows = read_manifest(jobs.manifest(packed.stage), packed.manifest_sha256)
        arrays = {
            array.script: (rows[array.first_row : array.first_row + array.n_rows], array.concurrency)
            for array in packed.arrays
        }
        settings = context.site.filled(context.site.job(packed.stage), packed.stage)
        plan_scripts(
            plan,
            context,
            stage(packed.stage),
            jobs,
            arrays,
            settings,
            packed.manifest_sha256,
            packed.launcher,
        )
    return plan


def verify(pack: Pack, context: Context) -> Iterator[Remark]:
    """Yield how far inputs, models, images, CPU and results here are those of the pack."""
    description, workspace = pack.description, context.workspace
    missing, other = _differences(description.inputs, workspace)
    for names, what in ((missing, "missing"), (other, "not what was packed")):
        if names:
            yield Remark("problem", f"{len(names)} inputs {what}: {listed(names, 3)}; copy them again")
    if not missing and not other:
        yield Remark("ok", f"all {len(description.inputs)} inputs are those of the pack")
    absent, retrained = _differences(description.models, workspace)
    for names, what in ((absent, "not here: train again, or copy"), (retrained, "not the packed one")):
        for name in names:
            yield Remark("note", f"model {name}: {what}")
    yield _expectation(description, context, exact_models=not absent and not retrained)
    yield from (Remark(*remark) for remark in compare_results(pack, workspace))


def _differences(digests: dict[str, str], workspace: Workspace) -> tuple[list[str], list[str]]:
    """Return the names of files that are missing, and of those that differ."""
    missing, other = [], []
    for name, digest in digests.items():
        path = workspace.resolve(name)
        if not path.is_file():
            missing.append(name)
        elif sha256_file(path) != digest:
            other.append(name)
    return missing, other


def _expectation(description: Description, context: Context, *, exact_models: bool) -> Remark:
    """Say what a run here is to give: equal bytes, or equal values within tolerances, and why."""
    reasons = []
    if not description.images:
        reasons.append("it was packed without images")
    elif context.site.file.runtime == "venv":
        reasons.append("this site runs without images")
    elif image_digests(context.site.file, context.workspace) != description.images:
        reasons.append("the images here are others")
    if cpu_type() != description.cpu:
        reasons.append(f"the CPU is another ({cpu_type()}, it was {description.cpu})")
    if not exact_models:
        reasons.append("the models are others")
    if reasons:
        return Remark("note", f"results are to be equal within tolerances only: {'; '.join(reasons)}")
    return Remark("ok", "same images, CPU type and models: results are to be equal byte by byte")
