"""Score tracks of the training recordings, each scored by networks that have not seen its tape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hum_shared
from hum_shared import layout, names, provenance
from hum_shared.audio import probe, resampled_length
from hum_shared.errors import TableError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.grid import FrameGrid
from hum_shared.model.front_end import DataOpts
from hum_shared.scores import ScoreMeta, read_score_meta, score_writer
from hum_trainer.corpus_task import CLASSES
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.run_state import PACKAGES

_KIND = "out of tape 1"


def write_out_of_tape(
    folder: Path,
    model: Path,
    opts: DataOpts,
    recordings: Sequence[LabelledRecording],
    scored: Sequence[tuple[Stretch, NDArray[np.float32]]],
) -> None:
    """Write one score track per recording that stretches cover, atomically, each on its own; remove all others.

    Parameters
    ----------
    folder
        Where they go.
    model
        The model file that the networks became.
    scored
        Stretches and the class probabilities of their frames, shape (n, 2).
    """
    model_sha256 = sha256_file(model)
    covered = {part.recording.name for part, _ in scored}
    for path in _tracks(folder) - {layout.score_file(folder, name) for name in covered}:
        path.unlink()  # of a recording that is no longer in the corpus, by a network that is no longer there
    made_by = provenance.collect(PACKAGES, inputs={"model": model_sha256}).model_dump(mode="json")
    for recording in recordings:
        parts = [(part, probs) for part, probs in scored if part.recording.name == recording.name]
        if not parts:
            continue
        info = probe(recording.path)
        frames = resampled_length(info.frames, info.sample_rate, opts.sr)
        grid = FrameGrid(opts.hop_length, opts.sr, frames)
        # Noise wherever no stretch reaches: rounding may leave a frame between two.
        probs = np.zeros((grid.n_rows, len(CLASSES)), dtype=np.float32)
        probs[:, CLASSES["noise"]] = 1.0
        for part, own in parts:
            first = round(part.start_s * opts.sr / opts.hop_length)
            probs[first : first + len(own)] = own[: grid.n_rows - first]
        meta = ScoreMeta(
            kind="frame",
            step=grid.step,
            length=grid.step,
            n_rows=grid.n_rows,
            model_rate=opts.sr,
            model_frames=frames,
            recording=recording.name,
            recording_sha256=recording.sha256,
            frames=info.frames,
            sample_rate=info.sample_rate,
            clip_offset_s=names.parse_recording(recording.name).offset_s,
            classes=dict(CLASSES),
            model_sha256=model_sha256,
            front_end=opts.as_dict(),
            inputs_sha256=_inputs_sha256(recording, model_sha256),
            code_version=hum_shared.__version__,
            provenance=made_by,
        )
        with score_writer(layout.score_file(folder, recording.name), meta) as writer:
            writer.append(*grid.times_s(), probs)


def has_out_of_tape(folder: Path, model: Path, recordings: Sequence[LabelledRecording]) -> bool:
    """Return whether the tracks of these recordings, and no others, were written for this model file."""
    model_sha256 = sha256_file(model)
    wanted = {layout.score_file(folder, one.name): _inputs_sha256(one, model_sha256) for one in recordings}
    if _tracks(folder) != set(wanted):
        return False
    try:
        return all(read_score_meta(path).inputs_sha256 == digest for path, digest in wanted.items())
    except TableError:
        return False  # damaged: written anew


def _inputs_sha256(recording: LabelledRecording, model_sha256: str) -> str:
    return sha256_json([_KIND, recording.sha256, model_sha256])


def _tracks(folder: Path) -> set[Path]:
    # No glob: a folder's name may hold brackets.
    return {path for path in folder.iterdir() if path.name.endswith(layout.SCORE_SUFFIX)} if folder.is_dir() else set()
