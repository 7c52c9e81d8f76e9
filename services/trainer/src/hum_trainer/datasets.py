"""One `dataset_<name>/`: clips, parts, index, selection tables and pictures written from a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hum_shared.config.variants import DatasetStrategy
from hum_shared.errors import InputError
from hum_shared.files import sha256_json, write_json, write_text
from hum_shared.index import CorpusIndex, VariantEntry, VariantIndex, VariantMeta, read_index, write_index
from hum_shared.layout import VARIANT_INDEX
from hum_shared.provenance import collect
from hum_trainer import __version__
from hum_trainer.cutting import cut
from hum_trainer.dataset_checks import OverlapCheck, check_overlaps, part_counts, shared_tapes, tape_counts
from hum_trainer.index_lookup import busy_on_tapes
from hum_trainer.planning import NOISE, DatasetPlan, PlannedClip, plan_dataset
from hum_trainer.splits import PARTS
from hum_trainer.swapping import replaced_folder
from hum_trainer.tables import dataset_tables, write_tables

_SPLIT_VERSION = 3  # raised when the same seed and corpus give other parts
LEAKAGE_FILE = "leakage_report.json"
TABLE_FOLDER = "selection_tables"
PICTURE_FOLDER = "spectrograms"
INPUTS_KEY = "corpus and strategy"  # in provenance.inputs: file times, and so this digest, differ between copies

AfterClip = Callable[[], None]
"""Called after each clip; may raise to stop."""


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset holds, for people.

    Attributes
    ----------
    counts
        Part → class → clips.
    noise_from_clip, noise_from_raw, noise_skipped
        How mining went.
    overlaps
        The overlap check.
    shared_tapes
        Tape → the parts it stands in, where those are several.
    """

    counts: dict[str, dict[str, int]]
    noise_from_clip: int
    noise_from_raw: int
    noise_skipped: int
    overlaps: OverlapCheck
    shared_tapes: dict[str, list[str]]


def write_dataset(
    target: Path,
    root: Path,
    index: CorpusIndex,
    strategy: DatasetStrategy,
    durations_s: Mapping[str, float],
    *,
    spectrograms: bool,
    digest: str,
    after_clip: AfterClip = lambda: None,
) -> DatasetReport:
    """Plan and write one dataset; an older one in `target` is replaced once the new one is complete.

    Parameters
    ----------
    root
        The corpus.
    durations_s
        `clip_path` or `raw_path` of the index → length of that file, seconds.
    digest
        What :func:`is_current` will compare.

    Raises
    ------
    InputError
        When no hum is good enough.
    AudioError
        When a recording or cut-out hum cannot be read.
    """
    plan = plan_dataset(index, strategy, durations_s)
    overlaps = check_overlaps(plan.clips, busy_on_tapes(index))
    shared = shared_tapes(plan.clips)
    with replaced_folder(target) as folder:
        painter = None
        if spectrograms:
            from hum_trainer.pictures import SpectrogramPainter  # matplotlib is slow to load, and seldom wanted

            painter = SpectrogramPainter()
            (folder / PICTURE_FOLDER).mkdir()
        for clip in plan.clips:
            path = folder / clip.file_name
            _cut(root, clip, path)
            if painter is not None:
                painter.paint(path, folder / _picture(clip))
            after_clip()
        for part in PARTS:
            lines = [clip.file_name + "\n" for clip in plan.clips if clip.part == part]
            write_text(folder / f"{part}.csv", "".join(lines))
        write_tables(folder / TABLE_FOLDER, dataset_tables(index, plan.clips))
        write_json(folder / LEAKAGE_FILE, {"shared_tapes": shared, "clips_per_tape": tape_counts(plan.clips)})
        made_of = _recordings(index, plan.clips)
        write_index(
            folder / VARIANT_INDEX,
            _variant_index(plan, strategy, made_of, overlaps, digest, spectrograms=spectrograms),
        )
    return DatasetReport(
        part_counts(plan.clips), plan.noise_from_clip, plan.noise_from_raw, plan.noise_skipped, overlaps, shared
    )


def inputs_digest(root: Path, index: CorpusIndex, strategy: DatasetStrategy, *, spectrograms: bool) -> str:
    """Return a digest of all that decides a dataset: index, strategy, code version, size and time of the files."""
    paths = {path for e in index.entries for path in (e.hum_path, e.clip_path, e.raw_path) if path is not None}
    seen: dict[str, Any] = {}
    for path in sorted(paths):
        status = (root / path).stat() if (root / path).exists() else None
        seen[path] = [status.st_size, status.st_mtime_ns] if status else None
    meta = {key: value for key, value in index.meta.model_dump(mode="json").items() if key != "provenance"}
    return sha256_json(
        {
            "meta": {**meta, "generated_at": None},
            "entries": [entry.model_dump(mode="json") for entry in index.entries],
            "strategy": strategy.model_dump(mode="json"),
            "spectrograms": spectrograms,
            "version": [__version__, _SPLIT_VERSION],
            "files": seen,
        }
    )


def is_current(target: Path, digest: str) -> bool:
    """Whether `target` is a complete dataset made from the inputs of this digest."""
    if not (target / VARIANT_INDEX).is_file():
        return False
    try:
        found = read_index(target / VARIANT_INDEX, VariantIndex)
    except InputError:
        return False  # damaged: made anew
    files = [*(f"{part}.csv" for part in PARTS), LEAKAGE_FILE, *(entry.fn for entry in found.entries)]
    files += [entry.spectrogram_path for entry in found.entries if entry.spectrogram_path is not None]
    provenance = (found.meta.model_extra or {}).get("provenance", {})
    return provenance.get("inputs", {}).get(INPUTS_KEY) == digest and all((target / file).is_file() for file in files)


def _cut(root: Path, clip: PlannedClip, path: Path) -> None:
    hum = clip.hum
    if clip.source == "labelled" and hum.hum_path is not None:
        cut(root / hum.hum_path, path)
    elif clip.source == "raw" and hum.raw_path is not None:
        cut(root / hum.raw_path, path, clip.start_s, clip.end_s - clip.start_s)
    else:
        offset_s = hum.raw_start_s - hum.clip_start_s
        cut(root / hum.clip_path, path, clip.start_s - offset_s, clip.end_s - clip.start_s)


def _picture(clip: PlannedClip) -> str:
    return f"{PICTURE_FOLDER}/{clip.file_name.removesuffix('.wav')}.png"


def _recordings(index: CorpusIndex, clips: Sequence[PlannedClip]) -> dict[str, dict[str, str | None]]:
    """Return part → recording that clips were cut from → its digest, None where the corpus's index does not say."""
    known = {one.name: one.sha256 for one in index.meta.recordings or ()}
    found: dict[str, dict[str, str | None]] = {}
    for clip in clips:
        raw = clip.hum.raw_path if clip.source == "raw" else None
        name = PurePosixPath(raw or clip.hum.clip_path).name
        of_part = found.setdefault(clip.part, {})
        # A raw recording may be named as its clip is: then one of the two digests is not known.
        of_part[name] = None if raw else of_part.get(name, known.get(name))
    return {part: dict(sorted(found[part].items())) for part in PARTS if part in found}


def _variant_index(
    plan: DatasetPlan,
    strategy: DatasetStrategy,
    recordings: Mapping[str, Mapping[str, str | None]],
    overlaps: OverlapCheck,
    digest: str,
    *,
    spectrograms: bool,
) -> VariantIndex:
    made = collect(["hum-trainer", "numpy", "soundfile", "scipy"], inputs={INPUTS_KEY: digest}, seed=strategy.seed)
    n_noise = sum(clip.class_name == NOISE for clip in plan.clips)
    meta = VariantMeta.model_validate(
        {
            "created_at": made.created_at,
            "split_strategy": strategy.split_strategy,
            "seed": strategy.seed,
            "n_total": len(plan.clips),
            "n_target": len(plan.clips) - n_noise,
            "n_noise": n_noise,
            "split_counts": {part: sum(clip.part == part for clip in plan.clips) for part in PARTS},
            "strategy": strategy.model_dump(mode="json"),
            "noise_mining": {
                "from_clip": plan.noise_from_clip,
                "from_raw": plan.noise_from_raw,
                "skipped": plan.noise_skipped,
            },
            "overlap_check": asdict(overlaps),
            "recordings": recordings,
            "provenance": made.model_dump(mode="json"),
        }
    )
    entries = [
        VariantEntry(
            uid=clip.number,
            fn=clip.file_name,
            class_=clip.class_name,
            label=clip.label,
            tape_key=clip.hum.raw_path or clip.hum.clip_path,
            clip_path=clip.hum.clip_path,
            quality=clip.hum.quality if clip.source == "labelled" else None,
            source=clip.source,
            start_ms=clip.start_ms,
            end_ms=clip.end_ms,
            start_s=round(clip.start_s, 6),
            end_s=round(clip.end_s, 6),
            split=clip.part,
            spectrogram_path=_picture(clip) if spectrograms else None,
        )
        for clip in plan.clips
    ]
    return VariantIndex(meta=meta, entries=entries)
