"""What an array has to wait for: worked out from what the rows of earlier arrays write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hum_shared.layout import Workspace
from hum_shared.manifest import Row
from hum_slurm.written import WrittenArray


@dataclass(frozen=True)
class Need:
    """That an array waits for another.

    Attributes
    ----------
    array
        The other one.
    indices
        The tasks of it that must have ended well; None for all.
    pairwise
        Each index waits for the same index only.
    """

    array: WrittenArray
    indices: tuple[int, ...] | None = None
    pairwise: bool = False

    def option(self, job: str) -> str:
        """Return this need as a part of sbatch's `--dependency`, with the other array's job id."""
        if self.pairwise:
            return f"aftercorr:{job}"
        if self.indices is None:
            return f"afterok:{job}"
        return "afterok:" + ":".join(f"{job}_{index}" for index in self.indices)


def needs_of(
    array: WrittenArray, earlier: Sequence[WrittenArray], before: Sequence[WrittenArray], workspace: Workspace
) -> list[Need]:
    """Return what `array` waits for.

    An array waits for the tasks whose outputs it reads, and for no others: what one model's training breaks does not
    hold up the others. An array that reads nothing of the whole chain comes after the stage before.

    Parameters
    ----------
    array
        The array that waits.
    earlier
        All arrays of the chain before it.
    before
        Those of the stage right before it.
    workspace
        Where paths of rows lie.
    """
    found = []
    for other in earlier:
        links = _links(array, other, workspace)
        if links:
            found.append(_need(array, other, links))
    return found or [Need(other) for other in before]


def _need(array: WrittenArray, other: WrittenArray, links: Mapping[int, set[int]]) -> Need:
    wanted = set().union(*links.values())
    if all(links.get(index) == {index} for index in array.indices) and len(array.indices) > 1:
        return Need(other, pairwise=True)
    if wanted == set(other.indices):
        return Need(other)
    return Need(other, indices=tuple(sorted(wanted)))


def _links(array: WrittenArray, other: WrittenArray, workspace: Workspace) -> dict[int, set[int]]:
    """Return index of `array` → indices of `other` whose rows write what it reads."""
    writers: dict[Path, set[int]] = defaultdict(set)
    above: dict[Path, set[int]] = defaultdict(set)
    for row in other.rows:
        (index,) = other.indices_of([row])
        for path in map(workspace.resolve, [*row.outputs, *row.state]):
            writers[path].add(index)
            for folder in path.parents:
                above[folder].add(index)
    out: dict[int, set[int]] = {}
    for row in array.rows:
        (index,) = array.indices_of([row])
        found = set[int]()
        for path in _read(row, workspace):
            # An output may lie in a folder that is read, or be the folder in which something is read.
            found |= above.get(path, set()).union(*(writers.get(at, set()) for at in [path, *path.parents]))
        if found:
            out.setdefault(index, set()).update(found)
    return out


def _read(row: Row, workspace: Workspace) -> list[Path]:
    return [workspace.resolve(text) for text in row.inputs]
