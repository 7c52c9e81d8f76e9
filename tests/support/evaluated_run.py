"""A small workspace as `hum-evaluator run` leaves it: recordings with tones, score tracks, runs, ground truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from hum_evaluator.run import evaluate
from hum_shared import names
from hum_shared.config.cfg import write_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.prediction import PredictionCfg
from support.score_tracks import write_track

RATE = 8000
HOP_S = 0.05
WINDOW_S = 0.2
HOSTILE = "Ä <img src=x onerror=boom()> 'x' $HOME \"q\" {{ 7*7 }}.v2_20201207_225900_cut.wav_900_960.wav"
PLAIN = "388_20210115_cut.wav"

Calls = Sequence[tuple[float, float]]


def write_recording(path: Path, calls: Calls, seconds: float, rate: int = RATE) -> None:
    """Write faint noise with a tone at every call."""
    time_s = np.arange(round(seconds * rate)) / rate
    sound = 0.003 * np.random.default_rng(0).standard_normal(len(time_s))
    for start_s, end_s in calls:
        inside = (time_s >= start_s) & (time_s < end_s)
        sound[inside] += 0.1 * np.sin(2 * np.pi * 440 * time_s[inside])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype="PCM_16")


def scores_for(calls: Calls, seconds: float, p: float = 0.95) -> np.ndarray:
    """Return one probability per window: `p` where its centre lies in a call, else 0.02."""
    centres = np.arange(0, seconds - WINDOW_S + 1e-9, HOP_S) + WINDOW_S / 2
    inside = np.zeros(len(centres), dtype=bool)
    for start_s, end_s in calls:
        inside |= (centres >= start_s) & (centres < end_s)
    return np.where(inside, p, 0.02)


def write_truth(path: Path, calls: Mapping[str, Sequence[tuple[float, float, int | None]]], seconds: float) -> Path:
    """Write a corpus index; calls are recording → (start, end, quality) in recording time."""
    recordings, entries = [], []
    for recording, rows in sorted(calls.items()):
        parsed = names.parse_recording(recording)
        info = {"name": recording, "tape": parsed.tape, "offset_s": parsed.offset_s, "dur_s": seconds}
        recordings.append(info)
        for start_s, end_s, quality in rows:
            entries.append(
                {
                    "uid": len(entries) + 1,
                    "clip_path": f"labelled_recordings/{recording}",
                    "quality": quality,
                    "dur_s": end_s - start_s,
                    "clip_start_s": start_s,
                    "clip_end_s": end_s,
                    "raw_start_s": parsed.offset_s + start_s,
                    "raw_end_s": parsed.offset_s + end_s,
                }
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"meta": {"recordings": recordings}, "entries": entries}), encoding="utf-8")
    return path


def write_run(
    root: Path, found: Mapping[str, Calls], seconds: float, model: str = "m", variant: str = "len200_hop050_th50",
    p: float = 0.95, **settings: object,
) -> Path:  # fmt: skip
    """Write the score tracks of a run whose selections are about `found`, evaluate it, and return its folder."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "workspace.toml").touch()
    scores = root / "BENCHMARK" / "scores" / model / variant.rpartition("_")[0]
    for recording, calls in found.items():
        write_track(scores, recording, scores_for(calls, seconds, p), hop_s=HOP_S, window_s=WINDOW_S)
    cfg = root / "BENCHMARK" / "cfg" / model / variant / "eval.cfg"
    run = f"BENCHMARK/runs/{model}/{variant}"
    values = {
        "prediction_dir": f"{run}/prediction", "output_dir": f"{run}/evaluation/annotations",
        "scores_dir": scores.relative_to(root).as_posix(), "threshold": 0.5, **settings,
    }  # fmt: skip
    write_cfg(cfg, EvaluationCfg.model_validate(values))
    predict = {
        "model_path": "m.pk", "output_dir": str(scores), "input_file": "data/audio", "sequence_len": WINDOW_S,
        "hop": HOP_S,
    }  # fmt: skip
    write_cfg(cfg.with_name("predict.cfg"), PredictionCfg.model_validate(predict))
    evaluate(cfg)
    return root / run


def add_forest_layer(run: Path, keep: float = 0.4) -> None:
    """Write a postrf layer beside a run's evaluation: every third selection is turned down."""
    index = json.loads((run / "evaluation" / "index.json").read_text(encoding="utf-8"))
    kept = []
    for position, entry in enumerate(index["entries"]):
        if position % 3 != 2:
            kept.append({**entry, "uid": len(kept) + 1, "rf_prob": round(keep + (position % 5) / 10, 6)})
    (run / "postrf").mkdir(exist_ok=True)
    text = json.dumps({"meta": {**index["meta"], "n_preds": len(kept)}, "entries": kept})
    (run / "postrf" / "index.json").write_text(text, encoding="utf-8")
