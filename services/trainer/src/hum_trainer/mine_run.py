"""`hum-trainer mine`: hard negatives of a trained model, or of corrected tables, for the next training."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hum_shared.audio import Samples
from hum_shared.command import say, warn
from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import TrainingCfg
from hum_shared.decoders import Windows
from hum_shared.errors import InputError, ModelError
from hum_shared.locks import alone
from hum_shared.model.device import describe
from hum_shared.model.frame_scoring import FrameScorer
from hum_shared.model.model_file import load_model
from hum_shared.model.model_parts import DenseModel, LoadedModel
from hum_shared.progress import track
from hum_shared.stopping import StopRequest
from hum_trainer import mining
from hum_trainer.corpus_task import CLASSES, CorpusTask, read_corpus_task
from hum_trainer.labelled_recordings import Stretch
from hum_trainer.mining import MiningRound, as_round, from_selections, read_hard_negatives, write_hard_negatives
from hum_trainer.recording_audio import AudioOf
from hum_trainer.run_state import device_and_precision
from hum_trainer.window_scoring import StretchScorer


def run_mining(cfg_path: Path, selections: Path | None = None, progress_file: Path | None = None) -> None:
    """Add a round to the `hard_negatives.json` beside a model; see `hum-trainer mine --help`.

    Parameters
    ----------
    cfg_path
        Training cfg of recipe `windows` or `frames`.
    selections
        Folder of tables that a person corrected; None: the model of the cfg is run over its training tapes.

    Raises
    ------
    InputError
        Bad cfg, corpus or tables, or there is no model yet.
    Stopped
        On a signal; nothing was written.
    """
    stop = StopRequest().install()
    cfg = read_cfg(cfg_path, TrainingCfg)
    if cfg.recipe == "clips":
        raise InputError(f"{cfg_path}: recipe clips learns from a dataset's noise clips. Mine for windows or frames.")
    task = read_corpus_task(cfg, cfg_path)
    target = task.folders.models / mining.FILE_NAME
    if selections is not None:
        found, others, remarks = from_selections(selections, task.indexed)
        for remark in remarks:
            warn(f"{selections}: {remark}")
        if others:
            warn(f"{selections}: {len(others)} tables belong to no recording of the corpus, the first {others[0]}")
    else:
        with track("mine", cfg_path.parent.name, "s of audio", None, progress_file) as progress:
            found = _false_alarms(task, stop, lambda part: progress.advance(part.dur_s, part.recording.name))
    said = f"{len(found.negatives)} negatives and {len(found.calls)} new calls"
    with alone(target, target.with_name(f".{target.name}.lock")):  # rounds of others meanwhile are kept
        before = read_hard_negatives(target)
        after = before.with_round(found)
        if after == before:
            say(f"nothing to do: {target} holds these {said} already")
            return
        write_hard_negatives(target, after)
    if found.negatives or found.calls:
        say(f"{target}: {said}; hum-trainer run {shlex.quote(str(cfg_path))} learns from them")
    else:
        say(f"{target}: {said}; there is nothing new to learn from")


def _false_alarms(task: CorpusTask, stop: StopRequest, on_stretch: Callable[[Stretch], None]) -> MiningRound:
    path = task.folders.model
    if not path.exists():
        raise ModelError(f"{path}: no model yet. Train it first: hum-trainer run with the same cfg.")
    model = load_model(path, jit=task.cfg.jit_save)
    stretches = task.fold.train
    if isinstance(model, DenseModel):  # its networks have trained on every tape between them
        stretches = (*task.fold.train, *task.fold.val)
    if isinstance(model, LoadedModel) and model.data_opts.sequence_len_ms is None:
        raise ModelError(f"{path}: does not say what window it was trained on. Train it with this cfg.")
    device, precision = device_and_precision(task.cfg)
    say(f"running {path} over {len(stretches)} training stretches on {describe(device, precision)}")
    score_audio = _scorer(model, task.cfg, device, precision)
    audio = AudioOf(model.data_opts.sr, task.folders.cache)

    def score(part: Stretch) -> Windows:
        stop.check("nothing was written")
        windows = score_audio(audio.stretch(part))
        on_stretch(part)
        return windows

    negatives = mining.mine(stretches, score, min_gap_s=task.min_gap_s, min_duration_s=task.min_duration_s)
    return as_round(model.sha256, negatives, stretches)


def _scorer(
    model: LoadedModel | DenseModel, cfg: TrainingCfg, device: torch.device, precision: str
) -> Callable[[Samples], Windows]:
    if isinstance(model, LoadedModel):
        return StretchScorer(model, cfg.score_hop, device, precision).score
    frames = FrameScorer(
        model.network, model.data_opts, device=device, precision=precision, threads=torch.get_num_threads()
    )

    def score(audio: Samples) -> Windows:
        grid = frames.grid(len(audio))
        probs = np.concatenate([rows.probs for rows in frames.score([np.array(audio)], grid)])
        start_s, end_s = grid.times_s()
        return Windows(start_s, end_s, probs.astype(np.float64), CLASSES["noise"])

    return score
