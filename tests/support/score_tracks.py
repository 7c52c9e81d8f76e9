"""Score tracks and text logs as a predictor would write them."""

import numpy as np

from hum_shared import names
from hum_shared.files import sha256_json
from hum_shared.grid import window_grid
from hum_shared.layout import log_file, score_file
from hum_shared.scores import ScoreMeta, score_writer

RATE = 48_000
TWO_CLASSES = {"noise": 0, "target": 1}


def write_track(
    folder,
    recording,
    probs,
    *,
    classes=TWO_CLASSES,
    hop_s=0.05,
    window_s=0.4,
    host="one",
    inputs_sha256="c" * 64,
    audio_sha256=None,
):
    """Write the score track of a recording, window by window of `probs`: p of the target, or rows of classes."""
    probs = np.asarray(probs, dtype=np.float32)
    if probs.ndim == 1:
        probs = np.column_stack((1 - probs, probs))
    frames = round(((len(probs) - 1) * hop_s + window_s) * RATE)
    grid = window_grid(frames, RATE, window_s, hop_s, score_tail=False)
    assert grid.n_windows == len(probs)
    meta = ScoreMeta(
        step=grid.step,
        length=grid.length,
        n_rows=grid.n_windows,
        model_rate=RATE,
        model_frames=frames,
        recording=recording,
        recording_sha256=audio_sha256 or sha256_json(recording),
        frames=frames,
        sample_rate=RATE,
        clip_offset_s=names.parse_recording(recording).offset_s,
        classes=classes,
        model_sha256="b" * 64,
        front_end={"fmin": 100, "fmax": 4000},
        inputs_sha256=inputs_sha256,
        code_version="0.1.0",
        provenance={"host": host},
    )
    path = score_file(folder, recording)
    with score_writer(path, meta) as writer:
        writer.append(*grid.times_s(), probs)
    return path


def log_header(recording_path, samples, *, classes=TWO_CLASSES):
    """Return the messages before the first window."""
    return [
        str(recording_path),
        "Model Path: /models/ANIMAL-SPOT.pk",
        f"dataOpts: {{'sr': {RATE}, 'fmin': 100, 'fmax': 4000, 'n_fft': 2048}}",
        "prediction length: 0.4[s], hop length: 0.05[s], threshold: 0.5, "
        "prediction fmin: 0[Hz] prediction fmax: 8000[Hz]",
        f"class distribution: {classes}",
        "min-max normalisation",
        f"size of the file(samples)={samples}",
        "size of hop(samples)=2400",
        "stop time=1.0",
    ]


def write_log(folder, recording, messages, *, level="I"):
    """Write messages as a text log."""
    path = log_file(folder, recording)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"12:34:56|{level}|{message}\n" for message in messages), encoding="utf-8")
    return path


def two_class_windows(windows, threshold=0.5):
    """Return the messages of (start, end, p)."""
    return [f"time={start}-{end}, pred={int(p >= threshold)}, prob={p}" for start, end, p in windows]
