"""Whether what a training keeps in memory has room there, asked before hours are spent on it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hum_shared.errors import MachineError

_SHARE = 0.9  # of the free memory; networks and batches need some too
_GIB = 1 << 30
_ON_DISK = "Name a cache_dir in the cfg (they are then kept on disk), or ask for more memory."


def require_room(needed_bytes: float, what: str, free_bytes: int | None, remedy: str = _ON_DISK) -> None:
    """Check that something fits into memory.

    Parameters
    ----------
    needed_bytes, what
        Size and name of what will be kept.
    free_bytes
        See :func:`free_memory`; None: unknown, nothing is checked.
    remedy
        What to do where it does not fit.

    Raises
    ------
    MachineError
        When it does not fit.
    """
    if free_bytes is not None and needed_bytes > _SHARE * free_bytes:
        raise MachineError(
            f"{what} need {needed_bytes / _GIB:.3g} GiB of memory, {free_bytes / _GIB:.3g} GiB are free. {remedy}"
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
    """Return what each limited cgroup above this process, of either version, has left; page cache counts as free."""
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return []
    free = []
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if controllers == "":
            root, files = mount, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, files = mount / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = root / PurePosixPath(name).relative_to("/")
        free += [left for folder in [inner, *inner.parents] if (left := _left_in(folder, *files)) is not None]
    return free


def _left_in(cgroup: Path, limit_file: str, usage_file: str, cache_key: str) -> int | None:
    try:
        limit = (cgroup / limit_file).read_text("ascii").strip()
        used = int((cgroup / usage_file).read_text("ascii"))
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text("ascii").splitlines())
    except OSError:
        return None  # the root has no limit; a folder above the mount is no cgroup
    return None if limit == "max" else max(0, int(limit) - used + int(stat.get(cache_key, 0)))
