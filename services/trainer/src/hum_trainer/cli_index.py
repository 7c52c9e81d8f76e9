"""The corpus index as `hum-trainer` commands come by it, and what they say about names and labels."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hum_shared.command import warn

if TYPE_CHECKING:
    from hum_shared.index import CorpusIndex
    from hum_trainer.indexing import IndexedCorpus


def indexed_corpus(corpus_root: Path, *, from_selections: bool = False, digests: bool = True) -> IndexedCorpus:
    """Index a corpus, with progress, and say what is to be said about its names and labels."""
    from hum_shared.progress import track
    from hum_trainer.indexing import index_corpus as make_index

    with track("index-corpus", corpus_root.resolve().name, "files") as progress:
        indexed = make_index(
            corpus_root, from_selections=from_selections, digests=digests, tick=lambda: progress.advance(1)
        )
    for path, canonical in indexed.variants:
        warn(f"{path}: read as {canonical}")
    if indexed.other_tapes:
        warn(f"year 0000 for tapes whose names carry no date: {', '.join(indexed.other_tapes)}")
    if indexed.unlabelled:
        warn(f"left out, since they have no selection table: {', '.join(indexed.unlabelled)}")
    for problem in indexed.problems:
        warn(problem.message)
    return indexed


def read_or_make_index(corpus_root: Path, out: Path, *, write: bool) -> CorpusIndex:
    """Return the index in `out`, else the corpus's own, else a new one (kept in `out` with `write`).

    Raises
    ------
    InputError
        With `write`, when all there are lack hums of the corpus: noise would be cut out of them.
    """
    from hum_shared.errors import InputError
    from hum_shared.index import CorpusIndex, read_index, write_index
    from hum_shared.layout import CORPUS_INDEX
    from hum_trainer.index_lookup import not_indexed

    older: list[tuple[str, CorpusIndex]] = []
    for path in (out / CORPUS_INDEX, corpus_root / CORPUS_INDEX):
        if path.exists():
            index = read_index(path, CorpusIndex)
            new = not_indexed(corpus_root, index)
            if not new:
                return index
            option = [] if path.parent == corpus_root else ["--out", str(path.parent)]
            said = (
                f"{path} is older than the corpus: it lacks {len(new)} hums, the first {new[0]}. "
                f"Index it again: {shlex.join(['hum-trainer', 'index-corpus', str(corpus_root), *option])}"
            )
            older.append((said, index))
    if older:
        said, index = older[0]
        if write:
            raise InputError(said)
        warn(said)
        return index
    index = indexed_corpus(corpus_root, digests=write).index
    if write:
        write_index(out / CORPUS_INDEX, index)
    return index
