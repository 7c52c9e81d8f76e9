"""Recipe `frames`: dense networks, one per fold of tapes, that learn for every frame whether it lies inside a call.

Each network learns from all tapes but those of its fold and is judged on these. Together they are the model; what
each says of the tapes that it has not seen is written as score tracks, on which decoders are tuned and filters
trained without another labelled tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hum_shared import provenance
from hum_shared.card import ModelCard, write_card
from hum_shared.command import say
from hum_shared.config.training import TrainingCfg
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.model.dense import DenseNetwork
from hum_shared.model.device import autocast, describe
from hum_shared.model.front_end import bin_frequencies
from hum_shared.model.model_file import save_dense_model
from hum_shared.progress import Progress, track
from hum_shared.recordings import refuse_shared_tracks
from hum_shared.stopping import StopRequest
from hum_trainer import mining
from hum_trainer.augmentation import mixup, soft_labels
from hum_trainer.checkpoint import load_checkpoint
from hum_trainer.corpus_task import CLASSES, CorpusTask, announce, read_corpus_task
from hum_trainer.event_loop import EventTrainer
from hum_trainer.event_measures import EventOutcome
from hum_trainer.event_summaries import EventSummaries
from hum_trainer.folds import Fold
from hum_trainer.frame_chunks import ChunkDrawer, ChunkMaker
from hum_trainer.frame_task import FrameTask, false_alarms_of, frame_probs, frame_task, outcome_of
from hum_trainer.out_of_tape import frame_scores, has_out_of_tape, write_out_of_tape
from hum_trainer.run_state import PACKAGES, RunFolders, is_all_that_is_left, is_complete, usable_checkpoint
from hum_trainer.training_log import TrainingLog

_FrameTrainer = EventTrainer[tuple[Tensor, Tensor]]  # batches: inputs, and targets with their weights
CHANNELS, WIDTH = (8, 16, 32, 32), 64
FEWEST_CHUNKS, CALLS_PER_CHUNK = 256, 2
"""Chunks per epoch where the cfg says nothing: one for every two calls of the corpus, at least this many."""


def run_frames(
    cfg: TrainingCfg, cfg_path: Path, progress_file: Path | None = None, stop: StopRequest | None = None
) -> None:
    """Train the networks of a cfg with `recipe=frames`; see `hum-trainer run --help`.

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
    refuse_shared_tracks([recording.path for recording in task.recordings])
    announce(task)
    n_calls = sum(len(recording.calls) for recording in task.recordings)
    n_chunks = cfg.examples_per_epoch or max(FEWEST_CHUNKS, n_calls // CALLS_PER_CHUNK)
    total = cfg.max_train_epochs * n_chunks * len(task.folds)
    with track("train", cfg_path.parent.name, "chunks", total, progress_file) as progress:
        has_ended = _all_finished(task) and is_complete(folders, task.settings_sha256, cfg)
        has_model = has_ended and not cfg.start_from_scratch
        if has_ended and not has_model:
            for number in range(len(task.folds)):  # whatever is there from now on is of the new run
                _checkpoint(folders, number).unlink()
        is_done = has_model or is_all_that_is_left(folders, task.settings_sha256, cfg)
        if is_done and has_out_of_tape(folders.out_of_tape, folders.model, task.recordings):
            progress.message = "nothing to do: the model is up to date"
            say(f"{progress.message}: {folders.model}")
            return
        log = TrainingLog(folders.logs, details=cfg.debug)
        setup = frame_task(task)
        unseen = "tapes" if task.fold.kind == "tape" else "stretches of the same tape"
        log.say(
            f"{len(task.folds)} networks, each judged on {unseen} that it has not seen; "
            f"{describe(setup.device, setup.precision)}"
        )
        trainers = [_train(setup, number, n_chunks, stop, progress, log) for number in range(len(task.folds))]
        progress.total = progress.done  # a last batch may be short, and training may stop early
        members = [trainer.use_best() for trainer in trainers]
        outcome = outcome_of(setup, [(network, fold.val) for network, fold in zip(members, task.folds, strict=True)])
        if not has_model:  # else only its scores are missing: its digest must not change
            _write_model(setup, trainers, members, outcome)
        scored = [
            (part, frame_probs(setup, network, part))
            for network, fold in zip(members, task.folds, strict=True)
            for part in fold.val
        ]
        write_out_of_tape(
            folders.out_of_tape, folders.model, setup.opts, frame_scores(setup.opts, task.recordings, scored)
        )
        progress.message = f"event F1 {outcome.f1:.3f} on {unseen} that the networks had not seen"
        log.say(f"{progress.message}: {folders.model}")


def _checkpoint(folders: RunFolders, fold: int) -> Path:
    return folders.checkpoint.with_name(f"{folders.checkpoint.stem}_fold{fold}{folders.checkpoint.suffix}")


def _all_finished(task: CorpusTask) -> bool:
    """Whether every network's checkpoint is there, belongs to these settings, and is a finished one."""
    paths = [_checkpoint(task.folders, number) for number in range(len(task.folds))]
    if not all(path.exists() for path in paths):
        return False
    try:
        states = [load_checkpoint(path) for path in paths]
    except InputError:
        if task.cfg.start_from_scratch:
            return False
        raise
    return all(state["finished"] and state["settings_sha256"] == task.settings_sha256 for state in states)


def _train(
    setup: FrameTask, number: int, n_chunks: int, stop: StopRequest, progress: Progress, log: TrainingLog
) -> _FrameTrainer:
    """Train the network of one fold, from its checkpoint where there is one."""
    task, cfg = setup.task, setup.task.cfg
    fold = task.folds[number]
    trainer = _trainer(setup, fold, number, n_chunks)
    state = usable_checkpoint(trainer.checkpoint, cfg, task.settings_sha256)
    if state:
        trainer.restore(state)
        progress.skip(trainer.epoch * n_chunks)
        if state["finished"]:
            progress.skip((cfg.max_train_epochs - trainer.epoch) * n_chunks)
            return trainer
        log.say(f"network {number + 1}: going on after {trainer.epoch} epochs and {trainer.batch} batches")
    name = f"network {number + 1} of {len(task.folds)}"
    summaries = EventSummaries(task.folders.summaries / f"fold{number}")

    def on_batch(count: int, loss: float) -> None:
        progress.advance(count)
        log.detail(f"{name}, epoch {trainer.epoch + 1}, batch {trainer.batch}: {count} chunks, loss {loss:.6f}")

    def on_evaluation(epoch: int, outcome: EventOutcome) -> None:
        progress.message = (
            f"{name}, epoch {epoch}: loss {trainer.history[-1]['train_loss']:.4f}, validation loss "
            f"{outcome.loss:.4f}, event F1 {outcome.f1:.3f}"
        )
        log.say(progress.message)
        summaries.evaluation(epoch, trainer.history)

    def on_mined(epoch: int, n: int) -> None:
        log.say(f"{name}, epoch {epoch}: {n} false alarms are negatives now")

    trainer.fit(stop, on_batch, on_evaluation, on_mined)
    summaries.close()
    progress.skip((cfg.max_train_epochs - trainer.epoch) * n_chunks)
    return trainer


def _trainer(setup: FrameTask, fold: Fold, number: int, n_chunks: int) -> _FrameTrainer:
    task, cfg, device = setup.task, setup.task.cfg, setup.device
    fed_back = mining.as_negatives(task.fed_back.rounds, fold.train)
    seed = int(np.random.SeedSequence([cfg.seed, number]).generate_state(1)[0])  # no two networks share one
    torch.manual_seed(seed)  # the network's first weights
    network = DenseNetwork(
        members=1,
        n_freq_bins=cfg.n_freq_bins,
        channels=CHANNELS,
        width=WIDTH,
        dilations=setup.dilations,
        num_classes=len(CLASSES),
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    n_batches = max(1, n_chunks // cfg.batch_size)
    maker = ChunkMaker(
        fold.train,
        {part.recording.name: setup.spectrograms.of(part.recording) for part in fold.train},
        setup.hop_s,
        setup.chunk_frames,
        setup.spread,
        setup.median_s,
        bin_frequencies(setup.opts),
        setup.noise,
    )

    drawer = ChunkDrawer(fold.train, setup.chunk_frames * setup.hop_s)

    def prepare(epoch: int, batch: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        draws = np.random.default_rng([cfg.seed, number, epoch, batch])
        chunks = drawer.draw(cfg.batch_size, draws, [*fed_back, *trainer.negatives])
        inputs, labels, weights = maker.batch(chunks, rng)
        targets = soft_labels(labels, cfg.label_smoothing) * weights[..., None]
        return mixup(inputs, targets, cfg.mixup if cfg.augmentation else 0.0, rng)

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        inputs, targets = (part.to(device) for part in batch)
        with autocast(device, setup.precision):
            logits = network(inputs)
        losses = -targets * torch.log_softmax(logits.float(), dim=-1)
        return losses.sum() / targets.sum().clamp(min=1.0), len(inputs)

    trainer: _FrameTrainer = EventTrainer(
        cfg=cfg.with_values(seed=seed),
        network=network,
        device=device,
        batches_per_epoch=n_batches,
        prepare=prepare,
        loss=loss,
        evaluate=lambda network: outcome_of(setup, [(network, fold.val)]),
        mine=lambda network: false_alarms_of(setup, network, fold.train),
        checkpoint=_checkpoint(task.folders, number),
        settings_sha256=task.settings_sha256,
    )
    return trainer


def _write_model(
    setup: FrameTask, trainers: Sequence[_FrameTrainer], networks: Sequence[nn.Module], outcome: EventOutcome
) -> None:
    task, cfg, folders = setup.task, setup.task.cfg, setup.task.folders
    model = DenseNetwork(
        members=len(networks),
        n_freq_bins=cfg.n_freq_bins,
        channels=CHANNELS,
        width=WIDTH,
        dilations=setup.dilations,
        num_classes=len(CLASSES),
    )
    for member, network in zip(model.members, networks, strict=True):
        assert isinstance(network, DenseNetwork)
        member.load_state_dict(network.members[0].state_dict())
    save_dense_model(folders.model, model.eval(), setup.opts, CLASSES)
    folds = [
        {
            "val_tapes": sorted({part.recording.tape for part in fold.val}),
            "best_epoch": trainer.best_epoch,
            "n_epochs": trainer.epoch,
            "val_f1": trainer.best_f1,
        }
        for fold, trainer in zip(task.folds, trainers, strict=True)
    ]
    mined = sum(len(trainer.negatives) for trainer in trainers)
    card = ModelCard(
        model_file=folders.model.name,
        model_sha256=sha256_file(folders.model),
        encoder_opts={"architecture": "dense", **model.opts},
        classifier_opts={"num_classes": len(CLASSES)},
        data_opts=setup.opts.as_dict(),
        classes=dict(CLASSES),
        loads_in_original_programs=False,
        metrics={"val": outcome.measures()},
        best_epoch=max(trainer.best_epoch for trainer in trainers),
        n_epochs=max(trainer.epoch for trainer in trainers),
        training_data=task.ensemble_data(folds, mined),
        training_cfg=cfg.model_dump(mode="json"),
        seed=cfg.seed,
        provenance=provenance.collect(PACKAGES, cfg_sha256=cfg.digest(), seed=cfg.seed),
    )
    write_card(folders.card, card)
