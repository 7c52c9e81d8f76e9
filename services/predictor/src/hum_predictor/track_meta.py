"""What a score track says of itself, and whether one that is there still says what it would now."""

from __future__ import annotations

from pathlib import Path

import hum_shared
from hum_predictor.track_scorers import Rows, TrackScorer
from hum_shared import names, provenance
from hum_shared.audio import AudioInfo, resampled_length
from hum_shared.command import warn
from hum_shared.errors import AudioError, TableError
from hum_shared.files import sha256_json
from hum_shared.model.model_parts import DenseModel, LoadedModel
from hum_shared.model.spectrogram_stream import BACKGROUND_VERSION
from hum_shared.scores import ScoreMeta, read_score_meta

SCORING_VERSION = 1
"""Part of what makes a score track up to date; raised when the numbers change by more than a sum's order does."""

_PACKAGES = ("torch", "numpy", "soundfile", "soxr", "pyarrow")


def described(
    path: Path, info: AudioInfo, digest: str, model: LoadedModel | DenseModel, scorer: TrackScorer, cfg_sha256: str
) -> tuple[ScoreMeta, Rows]:
    """Return the head of a recording's score track, and what scores its rows.

    Parameters
    ----------
    info, digest
        Of the recording's file.
    cfg_sha256
        Digest of the settings, for the provenance.

    Raises
    ------
    AudioError
        When the recording is too short to hold a sample at the model's rate.
    """
    opts = model.data_opts
    frames = resampled_length(info.frames, info.sample_rate, opts.sr)
    if frames == 0:
        raise AudioError(f"{path}: {info.frames} samples are too few to resample to {opts.sr} Hz")
    rows = scorer.rows(frames)
    grid = rows.grid.as_meta()
    front_end = {**opts.as_dict(), **scorer.front_end, "precision": scorer.precision}
    inputs = {
        "scoring_version": SCORING_VERSION,
        "audio": digest,
        "model": model.sha256,
        "grid": [grid["step"], grid["length"], grid["tail"]],
        "front_end": front_end,
        **({} if opts.background_s is None else {"background_version": BACKGROUND_VERSION}),
    }
    meta = ScoreMeta(
        **grid,
        model_rate=opts.sr,
        model_frames=frames,
        recording=path.name,
        recording_sha256=digest,
        frames=info.frames,
        sample_rate=info.sample_rate,
        clip_offset_s=names.parse_recording(path.name).offset_s,
        classes=model.classes,
        model_sha256=model.sha256,
        front_end=front_end,
        inputs_sha256=sha256_json(inputs),
        code_version=hum_shared.__version__,
        provenance=provenance.collect(
            _PACKAGES, cfg_sha256=cfg_sha256, inputs={path.name: digest, "model": model.sha256}
        ).model_dump(mode="json"),
    )
    return meta, rows


def is_current(score_path: Path, meta: ScoreMeta) -> bool:
    """Whether a score track is there and was made from the same; a damaged one is warned of."""
    if not score_path.exists():
        return False
    try:
        known = read_score_meta(score_path)
    except TableError as error:
        warn(f"{error}; scoring again")
        return False
    # Frames of the same bytes were counted otherwise once: of an MP3 that does not say how many it holds.
    return (known.inputs_sha256, known.frames) == (meta.inputs_sha256, meta.frames)
