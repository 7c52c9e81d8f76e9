"""`corpus_index.json`: labels checked against their recordings and put into one index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from statistics import fmean

from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex, CorpusMeta, Counts, Distribution, RecordingInfo
from hum_shared.layout import LABELLED, RAW, SEGMENTED
from hum_shared.provenance import collect
from hum_trainer.corpus import (
    CorpusFolders,
    Recording,
    Tick,
    audio_files,
    audio_files_in,
    clip_finder,
    find_folders,
    needed,
    read_recordings,
)
from hum_trainer.labels import LabelledHum, Problem, read_segmented
from hum_trainer.raven_labels import read_tables, unread_tables

LENGTH_TOLERANCE_S = 0.05
NAME_TOLERANCE_S = 0.001  # names are rounded, mostly to milliseconds
UNKNOWN_QUALITY = "unknown"


@dataclass(frozen=True)
class IndexedCorpus:
    """A corpus index and what a person should know about it.

    Attributes
    ----------
    index
        Without hums that are `left_out` in `problems`.
    problems
        Also in the index, as `meta.problems`.
    variants
        (path, canonical name) of files whose names are known variants.
    other_tapes
        Tapes whose names do not follow the grammar: their year is 0000.
    unlabelled
        Recordings left out because they have no selection table.
    """

    index: CorpusIndex
    problems: list[Problem]
    variants: list[tuple[str, str]]
    other_tapes: list[str]
    unlabelled: list[str]


def index_corpus(
    root: Path, *, from_selections: bool = False, digests: bool = True, tick: Tick = lambda: None
) -> IndexedCorpus:
    """Index the corpus in `root`; nothing is written.

    Parameters
    ----------
    from_selections
        Take the hums from Raven selection tables instead of cut-out files. The recordings then are those in
        the labelled recordings, else the raw recordings, else those in `root` itself.
    digests
        Whether to compute the SHA-256 of the labelled clips (reads them whole).
    tick
        Called once per audio file.

    Raises
    ------
    InputError
        When a needed folder is missing or two match, a file name stands twice, or there are no hums.
    AudioError
        When a recording cannot be read. (A cut-out hum that cannot is a problem, not an error.)
    """
    folders = find_folders(root)
    raws = read_recordings(root, audio_files(folders.raw) if folders.raw else [], digests=False, tick=tick)
    unlabelled: list[str] = []
    if from_selections:
        clips = read_recordings(root, _recordings_with_tables(folders), digests=digests, tick=tick)
        hums, problems, labelled = read_tables(root, clips)
        unlabelled = sorted(clip.path for name, clip in clips.items() if name not in labelled)
        clips = {name: clip for name, clip in clips.items() if name in labelled}
    else:
        labelled_folder = needed(folders.labelled, LABELLED, root)
        segmented = needed(folders.segmented, SEGMENTED, root)
        clips = read_recordings(root, audio_files(labelled_folder), digests=digests, tick=tick)
        hums, problems = read_segmented(root, segmented, tick)
        find = clip_finder({name: clip.dur_s for name, clip in clips.items()})
        problems += unread_tables(root, clips, {find(hum.clip) or hum.clip for hum in hums})
    index, more = assemble(root.resolve().name, clips, raws, hums)
    if not index.entries:
        reasons = (
            f"; {len(problems) + len(more)} were left out, the first: {(problems + more)[0].message}"
            if problems + more
            else ""
        )
        place = "selection tables" if from_selections else f"the folder {SEGMENTED}"
        raise InputError(
            f"{root}: a corpus without hums: {place} gave none{reasons}. Label some, or correct the names."
        )
    problems = sorted(problems + more, key=lambda problem: (problem.file, problem.kind))
    tapes = {recording.name.tape for recording in (*clips.values(), *raws.values())}
    index = index.model_copy(
        update={
            "meta": index.meta.model_copy(
                update={
                    "problems": [asdict(problem) for problem in problems],
                    "provenance": (made := collect(["hum-trainer", "numpy", "soundfile"])).model_dump(mode="json"),
                    "generated_at": made.created_at,
                }
            )
        }
    )
    return IndexedCorpus(
        index,
        problems,
        [*_clip_variants(clips.values()), *_hum_variants(hums)],
        sorted(tape for tape in tapes if not names.parse_recording(tape).follows_grammar),
        unlabelled,
    )


def assemble(
    corpus_name: str, clips: Mapping[str, Recording], raws: Mapping[str, Recording], hums: Iterable[LabelledHum]
) -> tuple[CorpusIndex, list[Problem]]:
    """Check hums against their clips and number everything.

    A hum is left out when its clip is missing, when it shares no time with it, or when another one has the same times.
    A selection without a file of its own ends with its clip. One whose cut-out file cannot be read is one without.
    Uids count from 1 in the order of clip, start and end; those of clips and tapes in the order of their names.

    Parameters
    ----------
    clips, raws
        Full file name → recording.

    Returns
    -------
    index
        Without provenance. Times are rounded to microseconds.
    problems
        In the order of `hums` sorted by clip and time.
    """
    clip_uids = {name: uid for uid, name in enumerate(sorted(clips), start=1)}
    raw_of = {raw.name.tape: raw for raw in raws.values()}
    tapes = sorted({clip.name.tape for clip in clips.values()} | raw_of.keys())
    tape_uids = {tape: uid for uid, tape in enumerate(tapes, start=1)}
    entries: list[CorpusEntry] = []
    problems: list[Problem] = []
    first_source: dict[tuple[str, float, float], str] = {}
    namesakes = {names.recording_stem(name): name for name in clips}
    find = clip_finder({name: clip.dur_s for name, clip in clips.items()})
    named = [(find(hum.clip) or hum.clip, hum) for hum in hums]
    for clip_name, hum in sorted(named, key=lambda pair: (pair[0], pair[1].start_s, pair[1].end_s, pair[1].source)):
        clip = clips.get(clip_name)
        # A selection that was drawn past the end holds no sound there; a cut-out file has a length of its own.
        end_s = hum.end_s if hum.hum_path is not None or clip is None else min(hum.end_s, clip.dur_s)
        twin = first_source.setdefault((clip_name, hum.start_s, end_s), hum.source)
        found = _check(hum, clip, None if twin == hum.source else twin, namesakes.get(names.recording_stem(hum.clip)))
        problems += found
        if clip is None or any(problem.left_out for problem in found):
            continue
        raw = raw_of.get(clip.name.tape)
        entries.append(
            CorpusEntry(
                uid=len(entries) + 1,
                corpus_name=corpus_name,
                hum_path=hum.hum_path if hum.defect is None else None,
                clip_path=clip.path,
                raw_path=raw.path if raw else None,
                quality=hum.quality,
                dur_s=round(end_s - hum.start_s, 6),
                clip_dur_s=round(clip.dur_s, 6),
                clip_start_s=round(hum.start_s, 6),
                clip_end_s=round(end_s, 6),
                raw_start_s=round(clip.name.offset_s + hum.start_s, 6),
                raw_end_s=round(clip.name.offset_s + end_s, 6),
                clip_uid=clip_uids[clip_name],
                raw_uid=tape_uids[clip.name.tape],
            )
        )
    distribution = Distribution(
        per_clip=_counts(clip_uids.values(), [(entry.clip_uid, entry.quality) for entry in entries]),
        per_raw=_counts(tape_uids.values(), [(entry.raw_uid, entry.quality) for entry in entries]),
    )
    meta = _meta(corpus_name, [clips[name] for name in clip_uids], list(raws.values()), entries)
    return CorpusIndex(meta=meta, distribution=distribution, entries=entries), problems


def _check(hum: LabelledHum, clip: Recording | None, twin: str | None, namesake: str | None) -> list[Problem]:
    """Return what is wrong with a hum; `namesake`: the clip whose name differs from its clip's in the suffix only."""
    said = clip.name if clip else names.parse_recording(hum.clip)
    start_s, end_s = round(said.offset_s + hum.start_s, 6), round(said.offset_s + hum.end_s, 6)

    def problem(kind: str, message: str, *, left_out: bool) -> Problem:
        text = f"{hum.source}: {'left out: ' if left_out else ''}{message}"
        return Problem(kind, hum.hum_path or hum.source, text, left_out, said.tape, start_s, end_s)

    if clip is None:
        hint = f" (there is {namesake}: a hum's name holds its clip's name with the suffix)" if namesake else ""
        return [problem("clip missing", f"its clip {hum.clip} is missing{hint}", left_out=True)]
    if twin is not None:
        return [problem("duplicate", f"has the same clip and times as {twin}, which is counted", left_out=True)]
    found = []
    if hum.defect is not None:
        found.append(problem("unreadable", f"{hum.defect}; it is taken from its clip", left_out=False))
    if hum.end_s > clip.dur_s + NAME_TOLERANCE_S:
        message = f"its times {hum.start_s:g}–{hum.end_s:g} s lie outside its clip of {clip.dur_s:g} s"
        if hum.hum_path is None and hum.start_s < clip.dur_s:
            message += "; it is taken to end there"
        found.append(problem("outside clip", message, left_out=hum.start_s >= clip.dur_s))
    said_s = hum.end_s - hum.start_s
    if hum.file_dur_s is not None and round(abs(hum.file_dur_s - said_s), 6) > LENGTH_TOLERANCE_S:
        message = f"its file is {hum.file_dur_s:.3f} s long, its times say {said_s:.3f} s"
        found.append(problem("length", message, left_out=False))
    return found


def _recordings_with_tables(folders: CorpusFolders) -> list[Path]:
    folder = folders.labelled or folders.raw
    if folder is not None:
        return audio_files(folder)
    found = audio_files_in(folders.root)
    if not found:
        raise InputError(
            f"{folders.root}: no recordings: expected a folder whose name contains {LABELLED!r} or {RAW!r}"
        )
    return found


def _counts(uids: Iterable[int], hums: Sequence[tuple[int | None, int | None]]) -> dict[str, Counts]:
    qualities: dict[int, Counter[str]] = {uid: Counter() for uid in uids}
    for uid, quality in hums:
        if uid is not None:
            qualities[uid][UNKNOWN_QUALITY if quality is None else str(quality)] += 1
    return {
        str(uid): Counts(n_hums=counted.total(), qualities=dict(sorted(counted.items())))
        for uid, counted in qualities.items()
    }


def _meta(
    corpus_name: str, clips: Sequence[Recording], raws: Sequence[Recording], entries: Sequence[CorpusEntry]
) -> CorpusMeta:
    durations = {round(clip.dur_s, 3) for clip in clips}
    recordings = [
        RecordingInfo.model_validate(
            {
                "name": clip.name.name,
                "tape": clip.name.tape,
                "offset_s": clip.name.offset_s,
                "dur_s": round(clip.dur_s, 6),
                "sha256": clip.sha256,
                "sample_rate": clip.sample_rate,
            }
        )
        for clip in clips
    ]
    return CorpusMeta(
        corpus_name=corpus_name,
        n_raw_recordings=len(raws),
        n_labelled_clips=len(clips),
        n_hums=len(entries),
        avg_raw_duration_h=round(fmean(raw.dur_s for raw in raws) / 3600, 6) if raws else None,
        avg_hum_duration_s=round(fmean(entry.dur_s for entry in entries), 6) if entries else None,
        clip_duration_s=durations.pop() if len(durations) == 1 else None,
        avg_clip_duration_s=round(fmean(clip.dur_s for clip in clips), 6) if clips else None,
        recordings=recordings,
    )


def _clip_variants(clips: Iterable[Recording]) -> list[tuple[str, str]]:
    named = ((clip, names.canonical_clip(clip.name.name, clip.dur_s)) for clip in clips)
    return [(clip.path, canonical) for clip, canonical in named if canonical != clip.name.name]


def _hum_variants(hums: Iterable[LabelledHum]) -> list[tuple[str, str]]:
    named = [(hum.hum_path, names.canonical_hum(hum.hum_path)) for hum in hums if hum.hum_path is not None]
    return [(path, canonical) for path, canonical in named if canonical != PurePath(path).name]
