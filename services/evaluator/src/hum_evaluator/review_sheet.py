"""Review sheets: the selections a model is least sure of, as Raven tables with a clip of sound for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hum_evaluator.cutouts import scored_folder
from hum_evaluator.export.rows import Row, read_run
from hum_shared import names
from hum_shared.audio import probe, read_frames, write_wav
from hum_shared.errors import HumError, InputError, PartialFailure
from hum_shared.files import atomic_path, read_json, write_json
from hum_shared.index import PredictionEntry
from hum_shared.layout import FAILURES
from hum_shared.progress import track
from hum_shared.recordings import RecordingFolder
from hum_shared.selections import BASE_COLUMNS, LOGIT_COLUMN, Selection, write_selections
from hum_shared.stopping import StopRequest

SHEET = "review_sheet.txt"
UNFINISHED = "review_sheet.unfinished.json"
"""Names the clips of a sheet while it is made: what a killed run leaves is no part of the next one's."""
CORPUS = "corpus"
PAD_S = 1.0
"""How much of the recording a clip holds before and after a selection."""

_COLUMNS = (*BASE_COLUMNS, "Sound type", "Comments", LOGIT_COLUMN)


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording to be reviewed: its name, where it lies (recording time), all selections in it."""

    name: str
    recording: str
    start_s: float
    end_s: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Sheet:
    """What was written: the folder, how many selections are to be reviewed, in how many clips."""

    folder: Path
    n_selections: int
    n_clips: int


def probability(entry: PredictionEntry) -> float | None:
    """Return how sure the last judge of a selection was, 0 to 1: the forest, else the decoder; None where unknown.

    Old indexes without the decoder's confidence have the network's mean logit, which union's is made of.
    """
    sure = entry.rf_prob if entry.rf_prob is not None else entry.confidence
    if sure is not None:
        return sure
    return None if entry.cnn_logit_mean is None else float(1 / (1 + np.exp(-entry.cnn_logit_mean)))


def uncertainty(entry: PredictionEntry) -> float:
    """Return how unsure the last judge of a selection was: the entropy of its p in bits, 0 (sure) to 1 (p = ½).

    A selection that nobody gave a probability counts as 1.
    """
    p = probability(entry)
    if p is None:
        return 1.0
    return 0.0 if p in (0.0, 1.0) else float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def most_uncertain(rows: Sequence[Row], count: int) -> list[Row]:
    """Return the `count` least certain selections, least certain first; ties go by recording and time."""
    return sorted(rows, key=lambda row: (-uncertainty(row.entry), row.recording, row.number))[:count]


def clips_around(chosen: Iterable[Row], rows: Iterable[Row], lengths_s: dict[str, float]) -> list[Clip]:
    """Return the clips that hold the chosen selections, by recording and time.

    Selections whose surroundings meet share a clip. A clip lists every selection in it, chosen or not: what a
    reviewed table does not list counts as noise.

    Parameters
    ----------
    rows
        All selections.
    lengths_s
        Recording → its length; clips end there.
    """
    stretches: dict[str, list[list[float]]] = {}
    for row in sorted(chosen, key=lambda row: (row.recording, row.entry.start_s)):
        start_s = max(0.0, row.entry.start_s - PAD_S)
        end_s = min(lengths_s.get(row.recording, np.inf), row.entry.end_s + PAD_S)
        found = stretches.setdefault(row.recording, [])
        if found and start_s <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end_s)
        else:
            found.append([start_s, end_s])
    by_recording: dict[str, list[Row]] = {}
    for row in rows:
        by_recording.setdefault(row.recording, []).append(row)
    clips = []
    for recording, parts in stretches.items():
        parsed = names.parse_recording(recording)
        for start_s, end_s in parts:
            start_s, end_s = round(start_s, 3), round(end_s, 3)
            inside = tuple(r for r in by_recording[recording] if r.entry.start_s < end_s and r.entry.end_s > start_s)
            name = names.format_clip(
                parsed.tape, round(parsed.offset_s + start_s, 3), round(parsed.offset_s + end_s, 3)
            )
            clips.append(Clip(name, recording, start_s, end_s, inside))
    return clips


def review_sheet(
    run_root: Path,
    out: Path,
    count: int = 200,
    stage: str = "evaluation",
    audio_dir: Path | None = None,
    progress_file: Path | None = None,
    stop: StopRequest | None = None,
) -> Sheet:
    """Write the `count` least certain selections of a run into a folder, ready to be corrected in Raven.

    ``corpus/labelled_recordings/`` holds the clips, named as clips of their tapes; ``corpus/tables/`` a Raven table
    per clip, to be corrected: move edges, delete what is none, add what is missing. Then ``hum-trainer index-corpus
    OUT/corpus --from-selections`` reads the tables as labels, an emptied table as a clip without calls.
    ``review_sheet.txt`` lists the chosen ones, least certain first, as a Raven table of all clips opened as one
    sequence.

    Parameters
    ----------
    audio_dir
        Folder of the recordings; None takes what the run was predicted on.

    Raises
    ------
    InputError
        When there are no selections, a sheet is there already (it may hold corrections), or the folder of
        recordings is missing.
    PartialFailure
        When some recordings are missing or broken: they stand in `failures.json` beside the sheet.
    Stopped
        When `stop` was asked to; the next run starts anew.
    """
    if (out / SHEET).exists():
        raise InputError(f"{out}: holds a review sheet already, maybe with corrections. Name another --out.")
    run = read_run(run_root, stage)
    if not run.rows:
        raise InputError(f"{run_root}: its {stage} holds no selections: nothing to review")
    recordings = RecordingFolder(audio_dir or scored_folder(run_root))
    chosen = most_uncertain(run.rows, count)
    clips = clips_around(chosen, run.rows, run.lengths_s or {})
    failures: dict[str, str] = {}
    starts_s: dict[str, float] = {}
    written: list[Clip] = []
    total_s = 0.0
    _remove_unfinished(out)
    write_json(out / UNFINISHED, sorted(clip.name for clip in clips))
    with track("review-sheet", f"{run.model}/{run.variant}", "clips", len(clips), progress_file) as progress:
        # As Raven orders the files of a sequence.
        for clip in sorted(clips, key=lambda clip: clip.name):
            if stop is not None:
                stop.check("the sheet is not written yet")
            try:
                length_s = _write_clip(clip, out / CORPUS, recordings)
            except HumError as error:
                failures[clip.recording] = str(error)
            else:
                starts_s[clip.name] = total_s
                total_s += length_s
                written.append(clip)
            progress.advance(1)
        rows = _sheet_rows(chosen, written, starts_s)
        write_selections(out / SHEET, rows, _COLUMNS)
        (out / UNFINISHED).unlink()
        if failures:
            write_json(out / FAILURES, failures)
            first = next(iter(failures.values()))
            raise PartialFailure(f"{len(failures)} recordings failed (all in {out / FAILURES}): {first}")
    return Sheet(out, len(rows), len(written))


def _write_clip(clip: Clip, corpus: Path, recordings: RecordingFolder) -> float:
    """Write a clip and its table; return the clip's length in seconds."""
    source = recordings.find(names.recording_stem(clip.recording), clip.recording)
    info = probe(source)
    first, last = round(clip.start_s * info.sample_rate), round(clip.end_s * info.sample_rate)
    samples = read_frames(source, first, last)
    if len(samples) == 0:
        raise InputError(f"{source}: ends before {clip.start_s} s. Is it the file that was predicted?")
    sound, table_path = _clip_files(corpus, clip.name)
    with atomic_path(sound) as temporary:
        write_wav(temporary, samples, info.sample_rate, "PCM_24" if info.subtype in ("PCM_24", "FLOAT") else "PCM_16")
    length_s = len(samples) / info.sample_rate
    table = [_row(row, row.entry.start_s - clip.start_s, row.entry.end_s - clip.start_s, length_s) for row in clip.rows]
    write_selections(table_path, table, _COLUMNS)
    return length_s


def _clip_files(corpus: Path, clip: str) -> tuple[Path, Path]:
    """Return where a clip and its table go."""
    table = f"{names.recording_stem(clip)}.Table.1.selections.txt"
    return corpus / "labelled_recordings" / clip, corpus / "tables" / table


def _remove_unfinished(out: Path) -> None:
    """Remove the clips and tables of a sheet that was never finished."""
    if (out / UNFINISHED).is_file():
        for clip in read_json(out / UNFINISHED):
            for path in _clip_files(out / CORPUS, str(clip)):
                path.unlink(missing_ok=True)


def _sheet_rows(chosen: Sequence[Row], clips: Sequence[Clip], starts_s: dict[str, float]) -> list[Selection]:
    clip_of = {(row.recording, row.number): clip for clip in clips for row in clip.rows}
    rows = []
    for rank, row in enumerate(chosen, start=1):
        clip = clip_of.get((row.recording, row.number))
        if clip is None:
            continue  # its recording failed
        shift_s = starts_s[clip.name] - clip.start_s
        p = probability(row.entry)
        extra = {
            "Begin File": clip.name,
            "File Offset (s)": f"{row.entry.start_s - clip.start_s:.3f}",
            "Recording": row.recording,
            "Rank": str(rank),
            "Probability": "" if p is None else f"{p:.4f}",
        }
        rows.append(_row(row, row.entry.start_s + shift_s, row.entry.end_s + shift_s, np.inf, extra))
    return rows


def _row(row: Row, begin_s: float, end_s: float, length_s: float, extra: dict[str, str] | None = None) -> Selection:
    return Selection(
        begin_s=max(0.0, round(begin_s, 6)),
        end_s=min(length_s, round(end_s, 6)),
        low_hz=row.low_hz,
        high_hz=row.high_hz,
        sound_type=row.entry.label or "",
        comments="" if row.entry.rf_prob is None else f"rf_prob={row.entry.rf_prob:.6f}",
        cnn_logit_mean=row.entry.cnn_logit_mean,
        extra=extra or {},
    )
