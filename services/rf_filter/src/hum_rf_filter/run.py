"""One run of the filter: features of every selection, the forest's verdict, filtered tables and their index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hum_rf_filter.card import ForestCard, read_card
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.filtering import filtered_row, index_entry, keep
from hum_rf_filter.fit import check_fit, missing_values
from hum_rf_filter.forest import Forest, load_forest
from hum_rf_filter.forest_file import read_forest_bytes
from hum_rf_filter.run_features import features_of_run
from hum_rf_filter.run_folder import RunFolder
from hum_rf_filter.sources import Evaluation, Source, find_sources, read_evaluation
from hum_shared.command import warn
from hum_shared.config.cfg import read_cfg
from hum_shared.config.rf import RfCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.edited import WrittenTables
from hum_shared.errors import InputError
from hum_shared.failures import settle_failures
from hum_shared.files import sha256_json
from hum_shared.index import PredictionEntry, PredictionIndex, PredictionMeta, RecordingInfo, read_index, write_index
from hum_shared.locks import LOCK_FILE, alone
from hum_shared.progress import track
from hum_shared.provenance import collect, utc_now
from hum_shared.recordings import RecordingFolder
from hum_shared.selections import POSTRF_COLUMNS, format_selections
from hum_shared.stopping import StopRequest

_PACKAGES = ("hum-rf-filter", "scikit-learn", "librosa", "numpy", "scipy", "soundfile")


@dataclass(frozen=True)
class Filtered:
    """What a run did."""

    index_file: Path
    n_selections: int
    n_kept: int
    up_to_date: bool


def run_filter(cfg_file: Path, progress_file: Path | None = None, stop: StopRequest | None = None) -> Filtered:
    """Filter the selections of the run that an rf.cfg points at.

    Does nothing when the outputs were made from the same tables, recordings, settings and forest. Features that
    are there already are taken over, so that another threshold or forest costs no second extraction.

    Parameters
    ----------
    cfg_file
        An `rf.cfg`.
    progress_file
        Where progress is kept; None for nowhere.
    stop
        Asked between recordings whether to stop.

    Raises
    ------
    InputError
        When the cfg is wrong, there are no tables, or the forest does not load or fit.
    PartialFailure
        When some recordings failed: they stand in `postrf/failures.json`, all others are complete.
    Stopped
        When `stop` was asked to; finished features are kept.
    """
    cfg = read_cfg(cfg_file, RfCfg)
    workspace = workspace_of(cfg_file)
    run, model = RunFolder(workspace.resolve(cfg.run_root)), workspace.resolve(cfg.rf_model_path)
    settings = FeatureSettings(cfg.n_fft, cfg.hop, cfg.n_mfcc, cfg.include_deltas)

    with (
        alone(run.index.parent, run.index.parent / LOCK_FILE),
        track("rf", f"{run.root.parent.name}/{run.root.name}", "selections", file=progress_file) as progress,
    ):
        _, model_sha256 = read_forest_bytes(model, cfg.rf_model_sha256)
        tables, evaluation = run.tables(), read_evaluation(run.evaluation_index)
        recordings = RecordingFolder(workspace.resolve(cfg.audio_dir))
        scores_dir = workspace.resolve(cfg.scores_dir) if cfg.scores_dir else None
        sources, failures = find_sources(tables, recordings, evaluation, settings, scores_dir)
        if failures and not sources:
            name, reason = min(failures.items())
            raise InputError(
                f"none of {len(failures)} recordings can be filtered; nothing was changed. {name}: {reason}"
            )
        progress.total = sum(len(source.rows) for source in sources)
        card = read_card(model, model_sha256)
        threshold = _threshold(cfg, card)
        inputs_sha256 = _inputs_digest(cfg, threshold, model_sha256, card, evaluation, sources)
        done = None if failures else _finished(run, sources, inputs_sha256)
        if done is not None:
            progress.advance(progress.total, f"nothing to do: {run.index} is up to date")
            return Filtered(run.index, int(progress.total), len(done.entries), up_to_date=True)

        forest = load_forest(model, cfg.rf_model_sha256)
        fit = check_fit(forest, cfg, settings, sources, model)
        for line in (*_replaced(sources, evaluation), *forest.warnings, *fit):
            warn(line)
        written = WrittenTables(run.annotations, run.index)
        if (edited := written.begin()) is not None:
            warn(edited)
        # The index says that all below postrf belongs together; until it does, there must be none.
        run.index.unlink(missing_ok=True)
        features, failed = features_of_run(run, sources, settings, cfg.num_workers, progress, stop or StopRequest())
        failures |= failed
        filtered = [source for source in sources if source.table in features]
        probs = _probabilities(filtered, features, forest)
        for line in missing_values(filtered, features, probs, forest):
            warn(line)
        entries = _write_filtered(run, filtered, probs, threshold, evaluation, written)
        run.remove_stale(source.table for source in filtered)
        meta = _meta(cfg, threshold, model_sha256, evaluation, filtered, failures, len(entries))
        meta["tables"] = written.digests(run.filtered_file(source.table) for source in filtered)
        meta["inputs_sha256"] = None if failures else inputs_sha256
        inputs = {source.table.name: source.digest for source in filtered}
        meta["provenance"] = collect(_PACKAGES, cfg_sha256=cfg.digest(), inputs=inputs).model_dump(mode="json")
        write_index(run.index, PredictionIndex(meta=PredictionMeta.model_validate(meta), entries=entries))
        written.end()
        if (exports := run.index.parent / "export").is_dir():
            warn(f"{exports}: may be of earlier selections. Export again, or remove it")
        settle_failures(run.failures, failures, len(tables))
        return Filtered(run.index, int(progress.total), len(entries), up_to_date=False)


def _replaced(sources: Sequence[Source], evaluation: Evaluation) -> list[str]:
    """Return a line for each recording that is not the one that was scored."""
    scored = {info.name: info.sha256 for info in (evaluation.recordings or {}).values() if info.sha256 is not None}
    now = {one.info.name: one.info.sha256 for one in sources if one.path is not None and one.info is not None}
    return [
        f"{name}: was replaced since it was scored, its selections are those of the earlier recording. Predict again"
        for name, sha256 in sorted(now.items())
        if scored.get(name, sha256) != sha256
    ]


def _threshold(cfg: RfCfg, card: ForestCard | None) -> float:
    if cfg.use_card_threshold and card is not None and card.recommended is not None:
        return card.recommended.threshold
    return cfg.rf_threshold


def _inputs_digest(
    cfg: RfCfg,
    threshold: float,
    model_sha256: str,
    card: ForestCard | None,
    evaluation: Evaluation,
    sources: Sequence[Source],
) -> str:
    told = None if card is None else [card.medians, card.calibration and card.calibration.model_dump(mode="json")]
    return sha256_json(
        {
            "tables": {source.table.name: source.digest for source in sources},
            "evaluation": evaluation.digest(),
            "forest": [cfg.rf_model_path, model_sha256, told],
            "settings": [threshold, cfg.allow_missing_features],
        }
    )


def _finished(run: RunFolder, sources: Sequence[Source], inputs_sha256: str) -> PredictionIndex | None:
    """Return the index if everything below postrf was made from these inputs and settings."""
    if not run.index.exists() or not run.is_complete(source.table for source in sources):
        return None
    try:
        index = read_index(run.index, PredictionIndex)
    except InputError:
        return None  # not one of ours, or damaged: made anew
    return index if (index.meta.model_extra or {}).get("inputs_sha256") == inputs_sha256 else None


def _probabilities(
    sources: Sequence[Source], features: Mapping[Path, pd.DataFrame], forest: Forest
) -> list[NDArray[np.float64]]:
    """Return the probabilities of each source's selections; the forest is asked once, for all of them."""
    filled = [features[source.table] for source in sources if source.rows]
    if not filled:
        return [np.empty(0) for _ in sources]
    ends = np.cumsum([len(source.rows) for source in sources])
    return np.split(forest.probabilities(pd.concat(filled, ignore_index=True)), ends[:-1])


def _write_filtered(
    run: RunFolder,
    sources: Sequence[Source],
    probs: Sequence[NDArray[np.float64]],
    threshold: float,
    evaluation: Evaluation,
    written: WrittenTables,
) -> list[PredictionEntry]:
    """Write the filtered tables and return the index entries, sorted by recording, then time."""
    entries: list[PredictionEntry] = []
    for source, found in sorted(zip(sources, probs, strict=True), key=lambda pair: pair[0].recording):
        target = run.filtered_file(source.table)
        kept = keep(source.selections, found, threshold)
        rows = [filtered_row(one) for one in kept]
        written.write(target, format_selections(rows, POSTRF_COLUMNS, source.extra_columns))
        pred_path = target.relative_to(run.root).as_posix()
        for one in sorted(kept, key=lambda one: (one.selection.begin_s, one.selection.end_s)):
            entry = index_entry(one, len(entries) + 1, source.recording, pred_path)
            known = evaluation.measures.get((entry.recording, entry.start_s, entry.end_s), {})
            entries.append(entry.model_copy(update=known))
    return entries


def _meta(
    cfg: RfCfg,
    threshold: float,
    model_sha256: str,
    evaluation: Evaluation,
    sources: Sequence[Source],
    failures: Mapping[str, str],
    n_entries: int,
) -> dict[str, Any]:
    recordings: list[RecordingInfo]
    if evaluation.recordings is not None:  # those that failed were not looked at: their calls are no misses
        now = {one.info.name: one.info for one in sources if one.info is not None}
        recordings = [now.get(one.name, one) for one in evaluation.recordings.values() if one.name not in failures]
    else:
        recordings = sorted((one.info for one in sources if one.info is not None), key=lambda info: info.name)
    return {
        "generated_at": utc_now(),
        "n_preds": n_entries,
        "n_entries": n_entries,
        "recordings": recordings,
        "evaluation_sha256": evaluation.selections_sha256,
        "models": evaluation.models,
        "tuned_on": evaluation.tuned_on,
        "rf_model": cfg.rf_model_path,
        "rf_model_sha256": model_sha256,
        "features": "all",
        "rf_threshold": threshold,
        "stft": {"n_fft": cfg.n_fft, "hop": cfg.hop},
        "mfcc": {"n_mfcc": cfg.n_mfcc, "include_deltas": cfg.include_deltas},
    }
