"""`count`: hums per tape, clip and quality, and what the datasets hold, as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.table import Table

from hum_shared.index import CorpusEntry, CorpusIndex, VariantIndex, read_index
from hum_shared.layout import DATASET_PREFIX, VARIANT_INDEX
from hum_trainer.indexing import UNKNOWN_QUALITY


def corpus_counts(index: CorpusIndex) -> list[Table]:
    """Return one table of hums per tape, one per clip and one per quality."""
    clips = {recording.name: recording for recording in index.meta.recordings or []}
    clip_s = {name: clip.dur_s for name, clip in clips.items()}
    tape_s: dict[str, float] = {}
    for clip in clips.values():
        tape_s[clip.tape] = tape_s.get(clip.tape, 0.0) + clip.dur_s
    return [
        _hum_table("tape", index.entries, lambda entry: entry.tape, tape_s),
        _hum_table("clip", index.entries, lambda entry: entry.recording, clip_s),
        _quality_table(index.entries),
    ]


def dataset_counts(folder: Path) -> Table | None:
    """Return a table of the datasets in `folder`; None when there are none."""
    table = _table("dataset", "split", "seed", "target", "noise", "train", "val", "test")
    for path in sorted(folder.glob(f"{DATASET_PREFIX}*/{VARIANT_INDEX}")):
        meta = read_index(path, VariantIndex).meta
        parts = [str(meta.split_counts.get(part, 0)) for part in ("train", "val", "test")]
        table.add_row(
            path.parent.name, meta.split_strategy, str(meta.seed), str(meta.n_target), str(meta.n_noise), *parts
        )
    return table if table.rows else None


def _hum_table(
    unit: str, entries: Sequence[CorpusEntry], key: Callable[[CorpusEntry], str], labelled_s: dict[str, float]
) -> Table:
    qualities = sorted({_quality(entry) for entry in entries})
    table = _table(unit, "hours labelled", "hums", *qualities, "hums total s", "mean s", "shortest s", "longest s")
    groups: dict[str, list[CorpusEntry]] = {name: [] for name in labelled_s}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    for name, hums in [*sorted(groups.items()), ("all", list(entries))]:
        counts = [str(sum(_quality(hum) == quality for hum in hums)) for quality in qualities]
        seconds = labelled_s.get(name) if name in groups else sum(labelled_s.values())
        table.add_row(
            name, "" if seconds is None else f"{seconds / 3600:.3f}", str(len(hums)), *counts, *_durations(hums)
        )
    return table


def _quality_table(entries: Sequence[CorpusEntry]) -> Table:
    table = _table("quality", "hums", "hums total s", "mean s", "shortest s", "longest s")
    for quality in sorted({_quality(entry) for entry in entries}):
        hums = [entry for entry in entries if _quality(entry) == quality]
        table.add_row(quality, str(len(hums)), *_durations(hums))
    return table


def _durations(hums: Sequence[CorpusEntry]) -> list[str]:
    durations = [hum.dur_s for hum in hums]
    if not durations:
        return ["0.0", "", "", ""]
    mean = sum(durations) / len(durations)
    return [f"{sum(durations):.1f}", f"{mean:.3f}", f"{min(durations):.3f}", f"{max(durations):.3f}"]


def _quality(entry: CorpusEntry) -> str:
    return UNKNOWN_QUALITY if entry.quality is None else f"Q{entry.quality}"


def _table(name: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(name, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table
