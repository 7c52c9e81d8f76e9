"""One evaluation: decode every recording's predictions into a selection table, and index them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hum_shared
from hum_evaluator.export import FOLDER as EXPORT_FOLDER
from hum_evaluator.export import are_there, left_of_earlier, write_exports
from hum_evaluator.export.rows import selections_of
from hum_evaluator.selection_rows import index_entries, table_rows
from hum_evaluator.tracks import Source, find_sources, has_logs, read_prediction, unsearched
from hum_shared.command import warn
from hum_shared.config.cfg import read_cfg
from hum_shared.config.decoding import DecoderFile, DecoderSettings, read_decoder_file
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.decoders import decode
from hum_shared.edited import WrittenTables
from hum_shared.errors import HumError, InputError, NameFormatError
from hum_shared.failures import settle_failures
from hum_shared.files import name_that_fits, sha256_file, sha256_json
from hum_shared.index import (
    PredictionEntry,
    PredictionIndex,
    PredictionMeta,
    RecordingInfo,
    read_index,
    write_index,
)
from hum_shared.layout import FAILURES, LAYER_INDEX, TABLE_SUFFIX, Workspace, table_file
from hum_shared.locks import LOCK_FILE, alone
from hum_shared.progress import track
from hum_shared.provenance import collect, utc_now
from hum_shared.scores import read_score_meta
from hum_shared.selections import format_selections
from hum_shared.stopping import StopRequest
from hum_shared.words import listed

_INDEX_VERSION = 3
"""Raised when an index says something else of the same scores."""
_PACKAGES = ("hum-shared", "hum-evaluator", "numpy", "pyarrow")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation did.

    Attributes
    ----------
    index_file
        The index that was written, or found complete.
    n_recordings, n_selections
        What it holds.
    up_to_date
        Nothing had to be done.
    notes
        One line each.
    """

    index_file: Path
    n_recordings: int
    n_selections: int
    up_to_date: bool
    notes: tuple[str, ...] = ()


def evaluate(cfg_file: Path, progress_file: Path | None = None, stop: StopRequest | None = None) -> Evaluation:
    """Decode all predictions that a cfg points at.

    Writes one table per recording into `output_dir`, then `index.json` beside that folder; removes tables of
    recordings that are no longer predicted. Does nothing when the index was made from the same predictions
    and settings.

    Parameters
    ----------
    cfg_file
        An `eval.cfg`.
    progress_file
        Where progress is kept; None for nowhere.
    stop
        Asked between recordings whether to stop.

    Raises
    ------
    InputError
        When the cfg is wrong or there are no predictions.
    PartialFailure
        When some predictions could not be read: they stand in `failures.json` beside the index, the others
        are complete.
    Stopped
        When `stop` was asked to; the next run starts this evaluation anew.
    """
    cfg = read_cfg(cfg_file, EvaluationCfg)
    workspace = workspace_of(cfg_file)
    prediction_dir, tables = workspace.resolve(cfg.prediction_dir), workspace.resolve(cfg.output_dir)
    scores_dir = workspace.resolve(cfg.scores_dir) if cfg.scores_dir else prediction_dir
    if cfg.scores_dir and not scores_dir.is_dir() and not has_logs(prediction_dir):
        raise InputError(f"{cfg_file}: scores_dir {scores_dir} does not exist. Run hum-predictor first, or correct it.")
    tuned = _decoder_file(cfg, workspace, cfg_file)
    settings = cfg.decoding(tuned, str(cfg_file))
    settings_sha256 = sha256_json(
        {"decoder": settings.model_dump(), "noise_in_anno": cfg.noise_in_anno, "version": _INDEX_VERSION}
    )
    run = tables.parent.parent
    index_file, failures_file = tables.parent / LAYER_INDEX, tables.parent / FAILURES

    with (
        alone(tables.parent, tables.parent / LOCK_FILE),
        track("evaluate", f"{run.parent.name}/{run.name}", "recordings", file=progress_file) as progress,
    ):
        sources, failures = find_sources(scores_dir, prediction_dir)
        if failures and not sources:
            name, reason = min(failures.items())
            raise InputError(f"none of {len(failures)} score tracks can be read; nothing was changed. {name}: {reason}")
        progress.total = len(sources)
        inputs = {source.path.name: sha256_file(source.path) for source in sources}
        done = (
            None
            if failures or failures_file.exists() or not are_there(cfg.exports, tables.parent / EXPORT_FOLDER)
            else _finished(index_file, tables, settings_sha256, sources, inputs, tuned, cfg.exports)
        )
        if done is not None:
            progress.advance(len(sources), f"nothing to do: {index_file} is up to date")
            return Evaluation(index_file, len(done.meta.recordings or []), len(done.entries), up_to_date=True)

        written = WrittenTables(tables, index_file)
        if (edited := written.begin()) is not None:
            warn(edited)
        # The index says that the tables are complete; until they are, there must be none.
        index_file.unlink(missing_ok=True)
        recordings: list[RecordingInfo] = []
        entries: list[PredictionEntry] = []
        models = sorted({read_score_meta(source.path).model_sha256 for source in sources if not source.is_log})
        notes = [] if tuned is None else _tuned_on_others(tuned, cfg.decoder_file, models)
        for source in sources:
            if stop is not None:
                stop.check("this evaluation has no index yet")
            table = table_file(tables, source.recording)
            try:
                prediction = read_prediction(source)
            except HumError as error:
                failures[source.recording] = str(error)
                progress.advance(1)
                continue
            found = decode(prediction.windows, settings)
            try:
                with name_that_fits(source.recording):
                    written.write(table, format_selections(table_rows(prediction, found, cfg.noise_in_anno)))
            except NameFormatError as error:
                failures[source.recording] = str(error)
                progress.advance(1)
                continue
            recordings.append(prediction.recording)
            pred_path = table.relative_to(run).as_posix()
            entries += index_entries(prediction, found, pred_path, first_uid=len(entries) + 1)
            notes += prediction.notes
            progress.advance(1)
        notes += _same_audio(recordings)
        notes += unsearched(scores_dir, failures)
        _remove_stale(tables, recordings)
        tuned_on = None if tuned is None else tuned.tuned_on
        digests = written.digests(table_file(tables, recording.name) for recording in recordings)
        index = _index(settings, settings_sha256, recordings, entries, digests, inputs, models, tuned_on, cfg.exports)
        exported = []
        if cfg.exports:
            exported = write_exports(selections_of(run, "evaluation", index), cfg.exports, tables.parent)
        if left := left_of_earlier(cfg.exports, exported, folder := tables.parent / EXPORT_FOLDER):
            notes.append(f"{folder}: {listed(left)} may be of earlier selections. Export again, or remove them")
        write_index(index_file, index)
        written.end()
        settle_failures(failures_file, failures, len(failures) + len(recordings))
        return Evaluation(index_file, len(recordings), len(entries), up_to_date=False, notes=tuple(notes))


def _same_audio(recordings: Iterable[RecordingInfo]) -> list[str]:
    """Return a note for recordings that hold the same audio under several names: what is found counts as often."""
    known: dict[str, list[str]] = {}
    for one in recordings:
        if one.sha256 is not None:
            known.setdefault(one.sha256, []).append(one.name)
    return [
        f"{' and '.join(sorted(same))} are the same audio, and count {len(same)} times. Was a recording renamed? "
        "Remove the score track of its earlier name, and evaluate again"
        for same in known.values()
        if len(same) > 1
    ]


def _decoder_file(cfg: EvaluationCfg, workspace: Workspace, cfg_file: Path) -> DecoderFile | None:
    """Return the decoder file that a cfg names, which says what holds where the cfg is silent."""
    if cfg.decoder_file is None:
        return None
    path = workspace.resolve(cfg.decoder_file)
    if not path.is_file():
        raise InputError(
            f"{cfg_file}: decoder_file {path} does not exist. Run hum-evaluator tune (hum-slurm run tune), or remove "
            "the key to decode with the settings that stand in the cfg."
        )
    return read_decoder_file(path)


def _tuned_on_others(decoder: DecoderFile, decoder_file: str | None, models: Sequence[str]) -> list[str]:
    """Return a note where a decoder file was tuned on scores of other models than those that are decoded."""
    tuned = set(decoder.tuned_on.get("models") or [])
    if not tuned or tuned.issuperset(models):
        return []
    return [f"{decoder_file} was tuned on scores of another model than these. Run hum-evaluator tune again."]


def _index(
    settings: DecoderSettings,
    settings_sha256: str,
    recordings: Sequence[RecordingInfo],
    entries: Sequence[PredictionEntry],
    tables: Mapping[str, str],
    inputs: Mapping[str, str],
    models: Sequence[str],
    tuned_on: Mapping[str, Any] | None,
    exports: Sequence[str],
) -> PredictionIndex:
    provenance = collect(_PACKAGES, cfg_sha256=settings_sha256, inputs=inputs)
    meta = PredictionMeta.model_validate(
        {
            "generated_at": utc_now(),
            "n_preds": len(entries),
            "decoder": settings.decoder,
            "threshold": settings.threshold,
            "decoder_settings": settings.model_dump(mode="json"),
            "recordings": list(recordings),
            "tables": dict(tables),
            "models": list(models) or None,
            "tuned_on": tuned_on,
            "exports": list(exports),
            "provenance": provenance.model_dump(mode="json"),
        }
    )
    return PredictionIndex(meta=meta, entries=list(entries))


def _finished(
    index_file: Path,
    tables: Path,
    settings_sha256: str,
    sources: Sequence[Source],
    inputs: Mapping[str, str],
    tuned: DecoderFile | None,
    exports: Sequence[str],
) -> PredictionIndex | None:
    """Return the index if it was made by this code from these inputs and settings, with its tables and exports.

    Where a decoder file is named, the index must say what that was tuned on.
    """
    if not index_file.exists():
        return None
    try:
        index = read_index(index_file, PredictionIndex)
    except InputError:
        return None  # not one of ours, or damaged: made anew
    made = index.meta.provenance or {}
    same = (
        made.get("inputs") == dict(inputs)
        and made.get("cfg_sha256") == settings_sha256
        and made.get("code_version") == hum_shared.__version__
        and (tuned is None or index.meta.tuned_on == tuned.tuned_on)
        and set(exports) <= set((index.meta.model_extra or {}).get("exports") or ())
        and _tables(tables) == {table_file(tables, source.recording) for source in sources}
    )
    return index if same else None


def _remove_stale(tables: Path, recordings: Sequence[RecordingInfo]) -> None:
    for path in _tables(tables) - {table_file(tables, recording.name) for recording in recordings}:
        path.unlink()


def _tables(folder: Path) -> set[Path]:
    return set(folder.glob(f"*{TABLE_SUFFIX}"))
