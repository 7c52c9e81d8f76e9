"""Recipe `windows`: a ResNet that learns whether the centre of a window lies inside a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hum_shared import provenance
from hum_shared.card import ModelCard, write_card
from hum_shared.command import say
from hum_shared.config.training import TrainingCfg
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.model.device import autocast, describe
from hum_shared.model.front_end import FrontEnd
from hum_shared.model.model_file import save_model
from hum_shared.model.model_parts import classifier_opts, encoder_opts
from hum_shared.model.network import Network, build_network
from hum_shared.model.script_file import save_script
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_shared.progress import track
from hum_shared.recordings import refuse_shared_tracks
from hum_shared.stopping import StopRequest
from hum_trainer import mining
from hum_trainer.augmentation import mixup, soft_labels
from hum_trainer.corpus_task import CLASSES, CorpusTask, announce, read_corpus_task
from hum_trainer.event_loop import EventTrainer, Negative
from hum_trainer.event_measures import EventOutcome, ScoredStretch, event_outcome
from hum_trainer.event_summaries import EventSummaries
from hum_trainer.front_end_options import data_opts
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from hum_trainer.memory import free_memory, require_room
from hum_trainer.out_of_tape import UnseenScores, has_out_of_tape, window_scores, write_out_of_tape
from hum_trainer.recording_audio import AudioOf
from hum_trainer.run_state import (
    PACKAGES,
    device_and_precision,
    ended_with_model,
    is_all_that_is_left,
    usable_checkpoint,
)
from hum_trainer.tap_convs import use_tap_convs, with_plain_convs
from hum_trainer.training_log import TrainingLog
from hum_trainer.window_inputs import (
    AudioWindowCutter,
    BackgroundWindowCutter,
    WindowCutter,
    plain_inputs,
    varied_inputs,
)
from hum_trainer.window_sampling import EpochWindows, SampledWindows, WindowSampler
from hum_trainer.window_scoring import StretchScorer, in_training, window_samples

_WindowBatch = tuple[SampledWindows, SampledWindows, torch.Generator]  # windows, and a background for each
_WindowTrainer = EventTrainer[_WindowBatch]
EXAMPLES_PER_CALL = 4
FEWEST_EXAMPLES = 256


def run_windows(
    cfg: TrainingCfg, cfg_path: Path, progress_file: Path | None = None, stop: StopRequest | None = None
) -> None:
    """Train the network of a cfg with `recipe=windows`; see `hum-trainer run --help`.

    Raises
    ------
    InputError
        Bad cfg or corpus.
    MachineError
        No GPU where one was asked for, out of memory.
    Stopped
        On SIGUSR1 or SIGTERM, with a checkpoint from which the next run goes on exactly.
    """
    stop = stop or StopRequest().install()
    task = read_corpus_task(cfg, cfg_path)
    cfg, folders = task.cfg, task.folders
    refuse_shared_tracks([recording.path for recording in _unseen_recordings(task)])
    announce(task)
    has_ended = ended_with_model(folders, task.settings_sha256, cfg)
    state = usable_checkpoint(folders.checkpoint, cfg, task.settings_sha256, has_ended)
    sampler = _sampler(task)
    n_examples = cfg.examples_per_epoch or max(FEWEST_EXAMPLES, EXAMPLES_PER_CALL * sampler.n_calls)
    total = cfg.max_train_epochs * n_examples
    with track("train", cfg_path.parent.name, "windows", total, progress_file) as progress:
        has_model = state is not None and has_ended(state)
        is_done = has_model or is_all_that_is_left(folders, task.settings_sha256, cfg)
        if is_done and has_out_of_tape(folders.out_of_tape, folders.model, _unseen_recordings(task), _how(task)):
            progress.message = "nothing to do: the model is up to date"
            say(f"{progress.message}: {folders.model}")
            return
        log = TrainingLog(folders.logs, details=cfg.debug)
        device, precision = device_and_precision(cfg)
        log.say(
            f"{len(task.fold.train)} stretches to learn from, {len(task.fold.val)} to validate on, split by "
            f"{task.fold.kind}; {describe(device, precision)}"
        )
        _require_room(task)
        audio = AudioOf(cfg.sr, folders.cache)
        trainer = _trainer(task, sampler, audio, n_examples, device, precision)
        if state:
            trainer.restore(state)
            log.say(f"going on after {trainer.epoch} epochs and {trainer.batch} batches")
            progress.skip(trainer.epoch * n_examples)
        summaries = EventSummaries(folders.summaries)

        def on_batch(count: int, loss: float) -> None:
            progress.advance(count)
            log.detail(f"epoch {trainer.epoch + 1}, batch {trainer.batch}: {count} windows, loss {loss:.6f}")

        def on_evaluation(epoch: int, outcome: EventOutcome) -> None:
            progress.message = (
                f"epoch {epoch}: loss {trainer.history[-1]['train_loss']:.4f}, validation loss {outcome.loss:.4f}, "
                f"event F1 {outcome.f1:.3f}"
            )
            log.say(progress.message)
            summaries.evaluation(epoch, trainer.history)

        trainer.fit(
            stop,
            on_batch,
            on_evaluation,
            lambda epoch, n: log.say(f"epoch {epoch}: {n} false alarms are negatives now"),
        )
        progress.total = progress.done  # a last batch may be short, and training may stop early
        summaries.close()
        network = trainer.use_best()
        assert isinstance(network, Network)
        outcome = trainer.evaluate(network)
        if not has_model:  # else only its scores are missing: its digest must not change
            _write_model(task, trainer, network, outcome)
        unseen = _unseen_scores(task, network, audio, device, precision)
        write_out_of_tape(folders.out_of_tape, folders.model, data_opts(cfg), unseen, _how(task))
        progress.message = f"best epoch {trainer.best_epoch}, validation event F1 {outcome.f1:.3f}"
        log.say(f"{progress.message}: {folders.model}")


def _unseen_recordings(task: CorpusTask) -> list[LabelledRecording]:
    return list({part.recording.name: part.recording for part in task.fold.val}.values())


def _how(task: CorpusTask) -> list[Any]:
    """Return what the scores of validation stretches depend on besides recording and model."""
    parts = [[part.recording.name, part.start_s, part.end_s] for part in task.fold.val]
    return [task.cfg.sequence_len, task.cfg.score_hop, sorted(parts)]


def _unseen_scores(
    task: CorpusTask, network: Network, audio: AudioOf, device: torch.device, precision: str
) -> list[UnseenScores]:
    """Score what the network is validated on: decoders are tuned on that."""
    scorer = StretchScorer(in_training(network, data_opts(task.cfg)), task.cfg.score_hop, device, precision)
    scored = {one.name: scorer.probs(audio.recording(one)) for one in _unseen_recordings(task)}
    return window_scores(task.fold.val, scored)


def _sampler(task: CorpusTask) -> WindowSampler:
    try:
        return WindowSampler(task.fold.train, task.cfg.sequence_len / 1000)
    except ValueError as error:
        raise InputError(f"{task.cfg.corpus_index}: {error}. Use a shorter sequence_len.") from None


def _require_room(task: CorpusTask) -> None:
    """Check that what is kept in memory fits: audio without a cache, background-normalised spectrograms always."""
    cfg = task.cfg
    per_s = 0.0 if task.folders.cache else 4.0 * cfg.sr
    if cfg.normalisation == "background":
        per_s += 4.0 * cfg.n_freq_bins * cfg.sr / cfg.hop_length
    dur_s = sum(recording.dur_s for recording in task.recordings)
    require_room(per_s * dur_s, f"{dur_s / 3600:.3g} h of recordings", free_memory())


def _trainer(
    task: CorpusTask,
    sampler: WindowSampler,
    audio: AudioOf,
    n_examples: int,
    device: torch.device,
    precision: str,
) -> _WindowTrainer:
    cfg = task.cfg
    opts = data_opts(cfg)
    front_end = FrontEnd(opts, min_max_norm=bool(opts.min_max_norm)).to(device).eval()
    cutter = _cutter(task.fold.train, audio, front_end, window_samples(cfg))
    torch.manual_seed(cfg.seed)  # the network's first weights
    network = build_network(
        resnet_size=cfg.resnet, max_pool=cfg.max_pool, conv_kernel_size=cfg.conv_kernel_size, num_classes=len(CLASSES)
    )
    use_tap_convs(network, cutter.frames, opts.input_bins, device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    def scorer(network: nn.Module) -> StretchScorer:
        assert isinstance(network, Network)
        return StretchScorer(in_training(network, opts), cfg.score_hop, device, precision)

    def evaluate(network: nn.Module) -> EventOutcome:
        score = scorer(network).score
        scored = [ScoredStretch(score(audio.stretch(part)), part.calls - part.start_s) for part in task.fold.val]
        return event_outcome(scored, task.min_gap_s, task.min_duration_s)

    def mine(network: nn.Module) -> list[Negative]:
        score = scorer(network).score
        return mining.mine(
            task.fold.train,
            lambda part: score(audio.stretch(part)),
            min_gap_s=task.min_gap_s,
            min_duration_s=task.min_duration_s,
        )

    epochs = EpochWindows(sampler, n_examples, cfg)

    def prepare(epoch: int, batch: int, rng: torch.Generator) -> _WindowBatch:
        return *epochs.batch(epoch, batch, [*task.negatives, *trainer.negatives]), rng

    def loss(network: nn.Module, batch: _WindowBatch) -> tuple[Tensor, int]:
        windows, background, rng = batch
        targets = soft_labels(torch.from_numpy(windows.label), cfg.label_smoothing).to(device)
        if cfg.augmentation:
            inputs, targets = mixup(varied_inputs(cutter, windows, background, rng), targets, cfg.mixup, rng)
        else:
            inputs = plain_inputs(cutter, windows)
        with autocast(device, precision):
            logits = network(inputs)
        return nn.functional.cross_entropy(logits.float(), targets), len(windows)

    trainer: _WindowTrainer = EventTrainer(
        cfg=cfg,
        network=network,
        device=device,
        batches_per_epoch=epochs.n_batches,
        prepare=prepare,
        loss=loss,
        evaluate=evaluate,
        mine=mine,
        checkpoint=task.folders.checkpoint,
        settings_sha256=task.settings_sha256,
    )
    return trainer


def _cutter(stretches: Sequence[Stretch], audio: AudioOf, front_end: FrontEnd, window: int) -> WindowCutter:
    if front_end.opts.normalisation is None:
        return AudioWindowCutter([audio.recording(part.recording) for part in stretches], front_end, window)
    stream = SpectrogramStream(front_end.opts)
    rows: dict[str, Tensor] = {}
    for recording in (part.recording for part in stretches):
        if recording.name not in rows:
            samples = audio.recording(recording)
            rows[recording.name] = torch.cat(list(stream.rows([np.array(samples)], len(samples))))
    return BackgroundWindowCutter([rows[part.recording.name] for part in stretches], front_end, window)


def _write_model(task: CorpusTask, trainer: _WindowTrainer, network: Network, outcome: EventOutcome) -> None:
    cfg, folders, opts = task.cfg, task.folders, data_opts(task.cfg)
    network = with_plain_convs(network).cpu().eval()
    if cfg.jit_save:
        frames = _cutter([], AudioOf(cfg.sr, None), FrontEnd(opts, min_max_norm=False), window_samples(cfg)).frames
        save_script(folders.model, network, opts, CLASSES, torch.zeros(1, 1, frames, opts.n_freq_bins))
    else:
        save_model(folders.model, network, opts, CLASSES)
    card = ModelCard(
        model_file=folders.model.name,
        model_sha256=sha256_file(folders.model),
        encoder_opts=encoder_opts(network.encoder),
        classifier_opts=classifier_opts(network.classifier),
        data_opts=opts.as_dict(),
        classes=dict(CLASSES),
        loads_in_original_programs=opts.normalisation is None,
        metrics={"val": outcome.measures()},
        best_epoch=trainer.best_epoch,
        n_epochs=trainer.epoch,
        training_data=task.training_data(trainer.negatives),
        training_cfg=cfg.model_dump(mode="json"),
        seed=cfg.seed,
        provenance=provenance.collect(PACKAGES, cfg_sha256=cfg.digest(), seed=cfg.seed),
    )
    write_card(folders.card, card)
