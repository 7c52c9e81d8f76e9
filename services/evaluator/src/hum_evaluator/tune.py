"""Tuning: which decoder settings find the calls best, on tapes that the network was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import hum_shared
from hum_evaluator.tracks import Prediction, find_sources, read_prediction
from hum_evaluator.truth import GroundTruth, read_truth
from hum_evaluator.tune_data import Material, best_temperature, collect_material, judged_s
from hum_evaluator.tune_search import Tuned, tune_decoder, tune_union
from hum_evaluator.tune_trials import IOUS
from hum_shared.config.decoding import (
    DECODER_FILE,
    DecoderFile,
    DecoderName,
    DecoderSettings,
    read_decoder_file,
    write_decoder_file,
)
from hum_shared.decoders import decode
from hum_shared.errors import InputError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.heard import stretches
from hum_shared.intervals import as_intervals, duration
from hum_shared.matching import match
from hum_shared.progress import track
from hum_shared.provenance import collect
from hum_shared.scores import read_score_meta
from hum_shared.stopping import StopRequest

ALL: tuple[DecoderName, ...] = ("hysteresis", "peak", "change", "union")
"""In the order of preference between decoders that are equally good."""

_SEARCH_VERSION = 7
"""Raised when the search finds something else in the same scores."""
_EQUAL = 0.005  # differences in mean F1 below this do not choose a decoder
_WORTH_SAYING_S = 1.0
_THRESHOLDS = (0.3, 0.5, 0.7)
_PACKAGES = ("hum-shared", "hum-evaluator", "numpy", "scipy")


@dataclass(frozen=True)
class Tuning:
    """What tuning did.

    Attributes
    ----------
    file
        The `decoder.json`.
    content
        What it holds.
    up_to_date
        Nothing had to be done.
    warnings
        One line each.
    """

    file: Path
    content: DecoderFile
    up_to_date: bool
    warnings: tuple[str, ...] = ()


def tune(
    gt_file: Path,
    scores_dir: Path,
    decoder: DecoderName | Literal["all"] = "all",
    out: Path | None = None,
    progress_file: Path | None = None,
    stop: StopRequest | None = None,
) -> Tuning:
    """Search decoder settings on score tracks and write them as `decoder.json`.

    Parameters
    ----------
    gt_file
        `corpus_index.json` that holds the calls of the scored recordings.
    scores_dir
        Score tracks of tapes that the network was not trained on.
    decoder
        One, or all of them.
    out
        The file to write; None: `decoder.json` beside the score tracks.

    Raises
    ------
    InputError
        When a file cannot be read, no recording is labelled, or there is no call in them.
    Stopped
        When `stop` was asked to; nothing is written then.
    """
    out = out or scores_dir / DECODER_FILE
    wanted = ALL if decoder == "all" else (decoder,)
    if not scores_dir.is_dir():
        raise InputError(f"{scores_dir}: no such folder; --scores wants the folder of score tracks")
    truth = read_truth(gt_file)
    with track("tune", out.parent.parent.name or out.name, "decoders", len(wanted) + 1, progress_file) as progress:
        sources, failures = find_sources(scores_dir, scores_dir)
        if failures:
            name, reason = next(iter(sorted(failures.items())))
            raise InputError(f"{len(failures)} score tracks cannot be read; {name}: {reason}")
        inputs = {source.path.name: sha256_file(source.path) for source in sources}
        inputs["ground truth"] = sha256_file(gt_file)
        inputs["decoders"] = sha256_json([_SEARCH_VERSION, *wanted])
        done = _finished(out, inputs)
        if done is not None:
            progress.advance(len(wanted) + 1, f"nothing to do: {out} is up to date")
            return Tuning(out, done, up_to_date=True)
        predictions, warnings = _labelled([read_prediction(source) for source in sources], truth, gt_file)
        material = collect_material(predictions, truth)
        temperature = best_temperature(material)
        progress.advance(1, f"{len(predictions)} recordings, temperature {temperature:g}")
        found: dict[DecoderName, Tuned] = {}
        for name in wanted:
            if stop is not None:
                stop.check("nothing was written")
            found[name] = tune_union(material) if name == "union" else tune_decoder(name, material, temperature)
            progress.advance(1, f"{name}: mean F1 {np.mean(found[name].plateau.f1):.3f}")
        if not any(np.any(one.plateau.f1) for one in found.values()):
            warnings.append("no setting finds a single call: these scores do not tell calls from the rest")
        if len(np.unique(material.call_fold)) == 1:
            warnings.append("tuned on one tape with calls: no other one was left out to check what was found")
        models = sorted({read_score_meta(source.path).model_sha256 for source in sources if not source.is_log})
        content = DecoderFile(
            best=_best(found),
            decoders={name: _given(one.settings) for name, one in found.items()},
            tuned_on=_tuned_on(predictions, truth, material, models, inputs["ground truth"]),
            results={name: _result(one, material) for name, one in found.items()},
            provenance=collect(_PACKAGES, inputs=inputs).model_dump(mode="json"),
        )
        write_decoder_file(out, content)
    return Tuning(out, content, up_to_date=False, warnings=tuple(warnings))


def f1_of(settings: DecoderSettings, material: Material) -> tuple[float, ...]:
    """Return F1 at each of `IOUS` when the material is decoded with these settings."""
    parts = [as_intervals([])]
    for windows, offset in zip(material.windows, material.offsets_s.tolist(), strict=True):
        found = decode(windows, settings)
        parts.append(np.column_stack((found.start_s, found.end_s)) + offset)
    spans = np.concatenate(parts)
    total = len(spans) + len(material.calls)
    return tuple(2 * len(match(material.calls, spans, least)[0]) / total for least in IOUS)


def _best(found: Mapping[DecoderName, Tuned]) -> DecoderName:
    """Return the decoder with the highest mean F1 on tapes left out (or on all, where one tape holds the calls)."""
    value = {name: float(np.mean(one.left_out or one.plateau.f1)) for name, one in found.items()}
    return next(name for name in ALL if name in value and value[name] >= max(value.values()) - _EQUAL)


def _labelled(
    predictions: Sequence[Prediction], truth: GroundTruth, gt_file: Path
) -> tuple[list[Prediction], list[str]]:
    """Return the predictions of labelled recordings, and what to say of the others."""
    kept = [one for one in predictions if truth.covers(one.recording)]
    others = sorted(one.recording.name for one in predictions if not truth.covers(one.recording))
    if not kept:
        raise InputError(
            f"{gt_file}: knows none of the {len(others)} scored recordings (the first is {others[0]}). "
            "--gt wants the corpus_index.json of the corpus that was scored."
        )
    said = []
    if others:
        said.append(f"{len(others)} scored recordings are not labelled and left out, the first is {others[0]}")
    partly = [one for one in kept if _unlabelled_s(one, truth) > _WORTH_SAYING_S]
    if partly:
        total_s = sum(_unlabelled_s(one, truth) for one in partly)
        said.append(
            f"{total_s:.0f} s of {len(partly)} scored recordings are not labelled and left out, the first is "
            f"{partly[0].recording.name}"
        )
    return kept, said


def _unlabelled_s(one: Prediction, truth: GroundTruth) -> float:
    return duration(stretches(one.recording)) - duration(judged_s(one, truth))


def _given(settings: DecoderSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_unset=True)


def _tuned_on(
    predictions: Sequence[Prediction], truth: GroundTruth, material: Material, models: Sequence[str], truth_sha256: str
) -> dict[str, Any]:
    tapes: dict[str, list[dict[str, str | None]]] = {}
    for one in predictions:
        entry = {"name": one.recording.name, "sha256": one.recording.sha256}
        tapes.setdefault(one.recording.tape, []).append(entry)
    return {
        "tapes": [{"tape": tape, "recordings": recordings} for tape, recordings in sorted(tapes.items())],
        "n_calls": len(material.calls),
        "hours": round(sum(duration(judged_s(one, truth)) for one in predictions) / 3600, 6),
        "step_s": round(float(np.median([one.windows.step_s for one in predictions])), 6),
        "models": list(models),
        "ground_truth_sha256": truth_sha256,
    }


def _result(one: Tuned, material: Material) -> dict[str, Any]:
    columns = list(one.table[0])
    thresholds = (one.settings.threshold,) if one.settings.decoder == "union" else _THRESHOLDS
    return {
        "f1_by_threshold": {
            str(threshold): _by_iou(f1_of(one.settings.with_values(threshold=threshold), material))
            for threshold in thresholds
        },
        "f1_left_out": None if one.left_out is None else _by_iou(one.left_out),
        "plateau_log_odds": [round(one.plateau.low, 2), round(one.plateau.high, 2)],
        "n_settings": one.n_settings,
        "tried": {"columns": columns, "rows": [list(row.values()) for row in one.table]},
    }


def _by_iou(f1: Sequence[float]) -> dict[str, float]:
    return {f"{iou:g}": round(value, 6) for iou, value in zip(IOUS, f1, strict=True)}


def _finished(out: Path, inputs: Mapping[str, str]) -> DecoderFile | None:
    """Return the decoder file if this code made it of these inputs."""
    if not out.is_file():
        return None
    try:
        found = read_decoder_file(out)
    except InputError:
        return None  # damaged, or of another version: made anew
    made = found.provenance
    same = made.get("inputs") == dict(inputs) and made.get("code_version") == hum_shared.__version__
    return found if same else None
