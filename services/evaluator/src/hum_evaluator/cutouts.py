"""Cutouts: every selection of a run as a WAV file of its own, sample for sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hum_evaluator.cutout_record import CutoutRecord
from hum_evaluator.layers import mismatch_of_run
from hum_shared import names
from hum_shared.audio import probe
from hum_shared.audio_parts import copy_part
from hum_shared.command import warn
from hum_shared.config.cfg import read_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.errors import AudioError, HumError, InputError
from hum_shared.failures import settle_failures
from hum_shared.files import atomic_path, sha256_json
from hum_shared.index import PredictionEntry, PredictionIndex, read_index
from hum_shared.layout import FAILURES, LAYER_INDEX, Benchmark
from hum_shared.progress import track
from hum_shared.recordings import RecordingFolder, recordings_folder
from hum_shared.stopping import StopRequest


@dataclass(frozen=True)
class Cutouts:
    """What was cut: new files, files that were there already, files removed, and where they lie."""

    folder: Path
    n_new: int
    n_kept: int
    n_removed: int


def cut(
    run_root: Path,
    stage: str,
    audio_dir: Path | None = None,
    out_root: Path | None = None,
    progress_file: Path | None = None,
    stop: StopRequest | None = None,
) -> Cutouts:
    """Write a WAV file for every selection of a run.

    Files that are there already are kept when the recording they were cut from is the same. Those that were cut for
    selections that are no more are removed, but not from an `out_root`: other runs may have cut the same ones.

    Parameters
    ----------
    run_root
        The run: ``<run_root>/<stage>/index.json`` is read.
    stage
        ``evaluation`` or ``postrf``.
    audio_dir
        Searched, with its sub-folders, for the recordings by full name; None takes what the run's `predict.cfg`
        names, where the run lies in a workspace.
    out_root
        Where cutouts go; None for ``<run_root>/<stage>/cutouts``.

    Raises
    ------
    InputError
        When the index or the folder of recordings is missing.
    PartialFailure
        When some recordings are missing or broken: they stand in `failures.json` beside the cutouts.
    Stopped
        When `stop` was asked to; the next run goes on.
    """
    index = read_index(run_root / stage / LAYER_INDEX, PredictionIndex)
    if (wrong := mismatch_of_run(run_root, stage, index)) is not None:
        warn(wrong)
    folder = out_root or run_root / stage / "cutouts"
    wanted: dict[tuple[str, str | None], dict[Path, PredictionEntry]] = {}
    for entry in index.entries:
        stem = names.recording_stem(entry.recording_name)
        wanted.setdefault((stem, entry.recording), {})[folder / cutout_name(stem, entry)] = entry
    recordings = RecordingFolder(audio_dir or scored_folder(run_root))
    n_new = n_kept = 0
    failures: dict[str, str] = {}
    task = f"{run_root.absolute().parent.name}/{run_root.absolute().name}"
    record = CutoutRecord(
        _record_file(run_root / stage, out_root), [path.name for cutouts in wanted.values() for path in cutouts]
    )
    # A folder of one's own may be shared with other runs, whose cutouts may have the same names.
    obsolete = record.obsolete if out_root is None else []
    complete = False
    with track("cutouts", task, "selections", len(index.entries), progress_file) as progress:
        try:
            folder.mkdir(parents=True, exist_ok=True)  # also of a run without selections: its cutouts are made
            for (stem, recording), cutouts in sorted(wanted.items(), key=lambda item: item[0][0]):
                if stop is not None:
                    stop.check("finished cutouts are kept")
                try:
                    n_cut = _bring_up_to_date(recordings, stem, recording, cutouts, record)
                    n_new, n_kept = n_new + n_cut, n_kept + len(cutouts) - n_cut
                except HumError as error:
                    failures[recording or stem] = str(error)
                progress.advance(len(cutouts))
            for name in obsolete:
                (folder / name).unlink(missing_ok=True)
            complete = True
        finally:
            record.close(complete=complete)
        settle_failures(folder / FAILURES, failures, len(wanted))
        if n_new == 0 and not obsolete:
            progress.advance(0, f"nothing to do: all {n_kept} cutouts are in {folder}")
    return Cutouts(folder, n_new, n_kept, len(obsolete))


def _record_file(layer: Path, out_root: Path | None) -> Path:
    """Return where it is kept what a layer's cutouts were made from: one file for each folder that they went to."""
    if out_root is None:
        return layer / "cutouts.json"
    return layer / f"cutouts_{sha256_json(str(out_root.absolute()))[:12]}.json"


def _bring_up_to_date(
    recordings: RecordingFolder,
    stem: str,
    recording: str | None,
    cutouts: Mapping[Path, PredictionEntry],
    record: CutoutRecord,
) -> int:
    """Cut what is missing of a recording, or all of it where the recording is another one; return how many."""
    name, there = recording or stem, {path for path in cutouts if path.exists()}
    try:
        source = recordings.find(stem, recording)
    except InputError:
        if len(there) == len(cutouts) and record.knows(name):
            return 0  # a recording that was put away when all was done
        raise
    state = record.state_of(name, source)
    current = there if record.is_cut_from(name, state) else set()
    if len(current) < len(cutouts):
        record.begin(name)
        _cut_recording(source, {path: entry for path, entry in cutouts.items() if path not in current})
    record.finish(name, state)
    if silent := [entry for path, entry in cutouts.items() if not path.exists()]:
        count = f" (and {len(silent) - 1} more)" if len(silent) > 1 else ""
        raise AudioError(
            f"{source}: the selection from {silent[0].start_s} to {silent[0].end_s} s{count} is empty or lies outside "
            f"the recording, which is {probe(source).dur_s:.3f} s long; the others were cut. Is it the file that was "
            "predicted?"
        )
    return len(cutouts) - len(current)


def cutout_name(stem: str, entry: PredictionEntry) -> str:
    """Return ``<recording stem>_<begin>ms_<end>ms[_rf0.xxx].wav``; times are recording time."""
    forest = "" if entry.rf_prob is None else f"_rf{entry.rf_prob:.3f}"
    begin_ms, end_ms = round(entry.start_s * 1000), round(entry.end_s * 1000)
    return f"{stem}_{begin_ms}ms_{end_ms}ms{forest}.wav"


def _cut_recording(source: Path, wanted: Mapping[Path, PredictionEntry]) -> None:
    """Write the selections of a recording, but for those that hold none of its samples."""
    info = probe(source)
    for path, entry in wanted.items():
        start = round(entry.start_s * info.sample_rate)
        stop = min(round(entry.end_s * info.sample_rate), info.frames)
        if start >= stop:  # no sound, no file
            continue
        with atomic_path(path) as temporary:
            copy_part(source, info, start, stop, temporary)


def scored_folder(run_root: Path) -> Path:
    """Return the folder of the recordings that a run was predicted on, as its prediction cfg says."""
    run = run_root.absolute()
    cfg_file = Benchmark(run.parent.parent.parent).cfg(run.parent.name, run.name, "predict")
    if not cfg_file.is_file():
        raise InputError(
            f"{run_root}: nothing says where its recordings lie (no {cfg_file}). Name their folder with --audio-dir."
        )
    return recordings_folder(workspace_of(cfg_file).resolve(read_cfg(cfg_file, PredictionCfg).input_file))
