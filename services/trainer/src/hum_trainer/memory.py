"""Whether what a training keeps in memory has room there, asked before hours are spent on it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hum_shared.errors import MachineError

_SHARE = 0.9  # of the free memory; networks and batches need some too
_GIB = 1 << 30


def require_room(needed_bytes: float, what: str, free_bytes: int | None) -> None:
    """Check that something fits into memory.

    Parameters
    ----------
    needed_bytes, what
        Size and name of what will be kept.
    free_bytes
        See :func:`free_memory`; None: unknown, nothing is checked.

    Raises
    ------
    MachineError
        When it does not fit.
    """
    if free_bytes is not None and needed_bytes > _SHARE * free_bytes:
        raise MachineError(
            f"{what} need {needed_bytes / _GIB:.3g} GiB of memory, {free_bytes / _GIB:.3g} GiB are free. Name a "
            "cache_dir in the cfg (they are then kept on disk), or ask for more memory."
        )


def free_memory() -> int | None:
    """Return how many bytes this process may still take: of the machine, or of a job's cgroup; None where unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return min([free, *_free_in_cgroups(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))])


def _free_in_cgroups(mount: Path, membership: Path) -> list[int]:
    """Return what each limited cgroup (version 2) above this process has left; page cache counts as free."""
    try:
        name = next(line[3:] for line in membership.read_text("utf-8").splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    inner = mount / PurePosixPath(name).relative_to("/")
    free = []
    for folder in [inner, *inner.parents]:
        try:
            limit = (folder / "memory.max").read_text("ascii").strip()
            used = int((folder / "memory.current").read_text("ascii"))
            stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        except OSError:
            continue  # the root has no limit; a folder above the mount is no cgroup
        if limit != "max":
            free.append(max(0, int(limit) - used + int(stat.get("inactive_file", 0))))
    return free
