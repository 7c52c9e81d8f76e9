"""What runs a task on a node, as lines of its batch script: a virtual environment, or an image in Apptainer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.binds import read_paths, written_folders
from hum_slurm.site import JobSettings, SiteFile


def scratch_folder(variables: Sequence[str]) -> str:
    """Return, for the shell, the first of some variables that is set, else ``/tmp``."""
    folder = "/tmp"
    for variable in reversed(variables):
        folder = f"${{{variable}:-{folder}}}"
    return folder


def venv_runtime(environment: Path, settings: JobSettings) -> str:
    """Return the lines that make a virtual environment's Python the array `runtime`."""
    device = f"\nexport HUM_DEVICE={settings.device}" if settings.device else ""
    return f"""\
unset PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE=1 TMPDIR=$scratch XDG_CACHE_HOME=$scratch MPLCONFIGDIR=$scratch NUMBA_CACHE_DIR=$scratch
export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads NUMBA_NUM_THREADS=$threads
export LOKY_MAX_CPU_COUNT=$threads CUDA_DEVICE_ORDER=${{CUDA_DEVICE_ORDER:-PCI_BUS_ID}}{device}
runtime=({shlex.quote(str(environment / "bin" / "python"))})"""


def apptainer_runtime(
    service: str, manifest: Path, rows: Sequence[Row], workspace: Workspace, site: SiteFile, settings: JobSettings
) -> str:
    """Return the lines that make Apptainer with a service's image the array `runtime`.

    Parameters
    ----------
    service
        Names the image.
    manifest, rows
        What the tasks run; they are shown what these read and write.
    workspace, site, settings
        Where, and how the cluster wants it.
    """
    image = workspace.resolve(site.images) / f"{service}.sif"
    read = [workspace.settings_file, manifest, *read_paths(rows, workspace), *map(Path, site.binds)]
    written = written_folders(rows, workspace)
    lines = [
        f"image={shlex.quote(str(image))}",
        # APPTAINERENV_ and not --env, whose values must not hold commas as lists of devices do.
        "export APPTAINERENV_OMP_NUM_THREADS=$threads APPTAINERENV_MKL_NUM_THREADS=$threads",
        "export APPTAINERENV_OPENBLAS_NUM_THREADS=$threads APPTAINERENV_NUMBA_NUM_THREADS=$threads",
        "export APPTAINERENV_LOKY_MAX_CPU_COUNT=$threads",
        # Also an empty one: no GPU was given. And numbered as the system does, not by speed.
        "if [[ -v CUDA_VISIBLE_DEVICES ]]; then",
        "    export APPTAINERENV_CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES",
        "fi",
        "export APPTAINERENV_CUDA_DEVICE_ORDER=${CUDA_DEVICE_ORDER:-PCI_BUS_ID}",
        *([f"export APPTAINERENV_HUM_DEVICE={settings.device}"] if settings.device else []),
        'image_sha256=$(sha256sum <"$image") || exit 1',
        "export APPTAINERENV_HUM_IMAGE_SHA256=${image_sha256%% *}",
        *_array("reads", read),
        *_array("writes", written),
        _MOUNTS,
        "runtime=(",
        "    apptainer exec --cleanenv --containall --no-home",
        *(["    --nv"] if settings.gpu else []),
        '    --workdir "$scratch" --pwd "$workspace" "${mounts[@]}" "$image" python3',
        ")",
    ]
    return "\n".join(lines)


def _array(name: str, paths: Sequence[Path]) -> list[str]:
    return [f"{name}=(", *(f"    {shlex.quote(str(path))}" for path in dict.fromkeys(paths)), ")"]


def check_script(workspace: Workspace, site: SiteFile, settings: JobSettings, environment: Path) -> str:
    """Return a script that starts the site's runtime on a node and says what it found there."""
    python = "import hum_shared, platform, sys; print(platform.node(), sys.version.split()[0], hum_shared.__version__)"
    if site.runtime == "venv":
        runtime = shlex.quote(str(environment / "bin" / "python"))
    else:
        image = workspace.resolve(site.images) / "evaluator.sif"
        runtime = (
            f'apptainer exec --cleanenv --containall --no-home --workdir "$scratch" {shlex.quote(str(image))} python3'
        )
    lines = [
        *(f"module load {shlex.quote(module)} || exit 1" for module in settings.modules),
        f'scratch=$(mktemp -d "{scratch_folder(site.scratch)}/hum-doctor.XXXXXX") || exit 1',
        "trap 'rm -rf \"$scratch\"' EXIT",
        f"{runtime} -c {shlex.quote(python)}",
    ]
    return "\n".join(lines)


_MOUNTS = r"""
# The task sees what its rows read and write and nothing else, each at its own path. A file is shown with its folder,
# for the card beside a model; what is not there is not shown, and the task says that it is missing.
declare -A modes=()
for path in "${reads[@]}"; do
    if [[ -f $path && ${path%/*} != "$workspace" ]]; then path=${path%/*}; fi
    if [[ -e $path ]]; then modes[$path]=,ro; fi
done
for path in "${writes[@]}"; do
    mkdir -p "$path" || exit 1
    modes[$path]=
done
mounts=()
# Outer folders first: what is mounted later shows. The value of --mount is a line of CSV.
while IFS= read -r -d '' path; do
    quoted=${path//\"/\"\"}
    mounts+=(--mount "type=bind,\"source=$quoted\",\"destination=$quoted\"${modes[$path]}")
done < <(printf '%s\0' "${!modes[@]}" | LC_ALL=C sort -z)
"""
