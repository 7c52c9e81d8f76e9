"""Score tracks of training recordings, each by networks that have not seen its tape, or that part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hum_shared
from hum_shared import layout, names, provenance
from hum_shared.audio import probe, resampled_length
from hum_shared.errors import TableError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.grid import FrameGrid, WindowGrid
from hum_shared.model.front_end import DataOpts
from hum_shared.scores import ScoreMeta, read_score_meta, score_writer
from hum_trainer.corpus_task import CLASSES
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.run_state import PACKAGES

_KIND = "out of tape 1"


@dataclass(frozen=True)
class UnseenScores:
    """What networks say of the parts of a recording that they have not seen.

    Attributes
    ----------
    recording
        The recording.
    grid
        Where the rows lie.
    probs
        Class probabilities, shape (rows, 2); rows outside of `parts` say noise.
    parts
        The parts, s, sorted; None: all of it.
    """

    recording: LabelledRecording
    grid: FrameGrid | WindowGrid
    probs: NDArray[np.float32]
    parts: tuple[tuple[float, float], ...] | None = None


def frame_scores(
    opts: DataOpts,
    recordings: Sequence[LabelledRecording],
    scored: Sequence[tuple[Stretch, NDArray[np.float32]]],
) -> list[UnseenScores]:
    """Put the scores of stretches together, for every recording that stretches cover.

    Parameters
    ----------
    scored
        Stretches and the class probabilities of their frames, shape (n, 2). All of a recording must be covered.
    """
    found = []
    for recording in recordings:
        parts = [(part, probs) for part, probs in scored if part.recording.name == recording.name]
        if not parts:
            continue
        info = probe(recording.path)
        grid = FrameGrid(opts.hop_length, opts.sr, resampled_length(info.frames, info.sample_rate, opts.sr))
        probs = _noise(grid.n_rows)  # rounding may leave a frame between two stretches
        for part, own in parts:
            first = round(part.start_s * opts.sr / opts.hop_length)
            probs[first : first + len(own)] = own[: grid.n_rows - first]
        found.append(UnseenScores(recording, grid, probs))
    return found


def window_scores(
    stretches: Sequence[Stretch], scored: Mapping[str, tuple[WindowGrid, NDArray[np.float32]]]
) -> list[UnseenScores]:
    """Keep of scored recordings the windows whose centre lies in a stretch; all others say noise.

    Parameters
    ----------
    stretches
        What the network has not seen.
    scored
        Recording name → all its windows and their class probabilities, shape (n, 2), float32.
    """
    found = []
    for recording in {part.recording.name: part.recording for part in stretches}.values():
        grid, own = scored[recording.name]
        parts = sorted((part.start_s, part.end_s) for part in stretches if part.recording.name == recording.name)
        starts = grid.starts()
        centre_s = (starts + np.minimum(starts + grid.length, grid.frames)) / 2 / grid.sample_rate
        unseen = np.any([(centre_s >= start_s) & (centre_s < end_s) for start_s, end_s in parts], axis=0)
        whole = parts == [(0.0, recording.dur_s)]
        probs = own if whole else np.where(unseen[:, None], own, _noise(len(own)))
        found.append(UnseenScores(recording, grid, probs, None if whole else tuple(parts)))
    return found


def write_out_of_tape(
    folder: Path, model: Path, opts: DataOpts, scores: Sequence[UnseenScores], how: Sequence[Any] = ()
) -> None:
    """Write one score track per recording, atomically, each on its own; remove all others.

    Parameters
    ----------
    folder
        Where they go.
    model
        The model file that the networks became.
    how
        Whatever the scores depend on besides recording and model, for their digest; plain values.
    """
    model_sha256 = sha256_file(model)
    for path in _tracks(folder) - {layout.score_file(folder, one.recording.name) for one in scores}:
        path.unlink()  # of a recording that is no longer in the corpus, by a network that is no longer there
    made_by = provenance.collect(PACKAGES, inputs={"model": model_sha256}).model_dump(mode="json")
    for one in scores:
        recording, info = one.recording, probe(one.recording.path)
        meta = ScoreMeta(
            **one.grid.as_meta(),
            model_rate=opts.sr,
            model_frames=one.grid.frames,
            recording=recording.name,
            recording_sha256=recording.sha256,
            frames=info.frames,
            sample_rate=info.sample_rate,
            clip_offset_s=names.parse_recording(recording.name).offset_s,
            classes=dict(CLASSES),
            model_sha256=model_sha256,
            front_end=opts.as_dict(),
            scored_s=None if one.parts is None else list(one.parts),
            inputs_sha256=_inputs_sha256(recording, model_sha256, how),
            code_version=hum_shared.__version__,
            provenance=made_by,
        )
        with score_writer(layout.score_file(folder, recording.name), meta) as writer:
            writer.append(*one.grid.times_s(), one.probs)


def has_out_of_tape(
    folder: Path, model: Path, recordings: Sequence[LabelledRecording], how: Sequence[Any] = ()
) -> bool:
    """Return whether the tracks of these recordings, and no others, were written for this model file in this way."""
    model_sha256 = sha256_file(model)
    wanted = {layout.score_file(folder, one.name): _inputs_sha256(one, model_sha256, how) for one in recordings}
    if _tracks(folder) != set(wanted):
        return False
    try:
        return all(read_score_meta(path).inputs_sha256 == digest for path, digest in wanted.items())
    except TableError:
        return False  # damaged: written anew


def _inputs_sha256(recording: LabelledRecording, model_sha256: str, how: Sequence[Any]) -> str:
    return sha256_json([_KIND, recording.sha256, model_sha256, *how])


def _noise(n_rows: int) -> NDArray[np.float32]:
    probs = np.zeros((n_rows, len(CLASSES)), dtype=np.float32)
    probs[:, CLASSES["noise"]] = 1.0
    return probs


def _tracks(folder: Path) -> set[Path]:
    return set(folder.glob(f"*{layout.SCORE_SUFFIX}"))
