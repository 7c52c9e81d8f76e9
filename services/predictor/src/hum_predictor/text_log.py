"""The originals' text log of a recording, written from its score track."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from hum_shared.config.prediction import PredictionCfg
from hum_shared.files import atomic_path
from hum_shared.scores import ScoreMeta, ScoreTrack


def write_text_log(
    path: Path, track: ScoreTrack, cfg: PredictionCfg, *, recording: Path, model: Path, data_opts: dict[str, Any]
) -> None:
    """Write the text log atomically (spec/model-and-scores.md, "Text log").

    Parameters
    ----------
    data_opts
        `dataOpts` as they stand in the model file.
    """
    stamp = datetime.now().astimezone().strftime("%H:%M:%S")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as log:
        for line in _head(track.meta, cfg, recording, model, data_opts):
            log.write(f"{stamp}|{line}\n")
        for message in _windows(track, cfg.threshold):
            log.write(f"{stamp}|I|{message}\n")


def has_settings(
    path: Path, meta: ScoreMeta, cfg: PredictionCfg, *, recording: Path, model: Path, data_opts: dict[str, Any]
) -> bool:
    """Whether there is a log that was written with these settings (threshold included); scores are not compared."""
    head = list(_head(meta, cfg, recording, model, data_opts))
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            lines = [line.rstrip("\n").partition("|")[2] for line in islice(log, len(head))]
    except FileNotFoundError:
        return False
    return lines == head


def _head(
    meta: ScoreMeta, cfg: PredictionCfg, recording: Path, model: Path, data_opts: dict[str, Any]
) -> Iterator[str]:
    """Yield the lines before the windows as ``level|message``; those of level D with `debug=true`."""
    for message in _settings(meta, cfg, recording, model, data_opts):
        yield f"I|{message}"
    if cfg.debug:
        yield f"D|front end: {meta.front_end}"
        yield f"D|samples per window={meta.length}, start of a last window at the end={meta.tail}"
        yield f"D|sha256 of the file={meta.recording_sha256}, of the model={meta.model_sha256}"


def _settings(
    meta: ScoreMeta, cfg: PredictionCfg, recording: Path, model: Path, data_opts: dict[str, Any]
) -> Iterator[str]:
    yield str(recording)
    yield f"Model Path: {model}"
    yield f"dataOpts: {data_opts}"
    yield (
        f"prediction length: {cfg.sequence_len}[s], hop length: {cfg.hop}[s], threshold: {cfg.threshold}, "
        f"prediction fmin: {data_opts['fmin']}[Hz] prediction fmax: {data_opts['fmax']}[Hz]"
    )
    yield f"class distribution: {meta.classes}"
    yield f"Init {'min-max' if cfg.min_max_norm else '0/1-dB'}-normalization activated"
    yield f"size of the file(samples)={meta.model_frames}"
    yield f"size of hop(samples)={meta.step}"
    yield f"stop time={meta.n_rows}"


def _windows(track: ScoreTrack, threshold: float) -> Iterator[str]:
    names = sorted(track.meta.classes, key=lambda name: track.meta.classes[name])
    times = zip(track.start_s.tolist(), track.end_s.tolist(), strict=True)
    if len(names) == 2:
        for (start_s, end_s), prob in zip(times, track.probs[:, 1].tolist(), strict=True):
            yield f"time={start_s}-{end_s}, pred={int(prob >= threshold)}, prob={prob}"
        return
    for (start_s, end_s), probs in zip(times, track.probs.tolist(), strict=True):
        best = max(range(len(names)), key=probs.__getitem__)
        prob = probs[best]
        yield f"time={start_s}-{end_s}, pred={int(prob >= threshold)}, pred_class={names[best]}-{best}, prob={prob}"
        yield "output_layer:"
        for name, value in zip(names, probs, strict=True):
            yield f"{name}={value};"
