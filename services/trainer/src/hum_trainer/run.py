"""One training run: clips to spectrograms to a trained network, its card and its curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hum_shared import provenance
from hum_shared.card import ModelCard, write_card
from hum_shared.command import say
from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import ClipsCfg, Device, TrainingCfg
from hum_shared.errors import InputError
from hum_shared.files import remove_abandoned, sha256_file, sha256_json
from hum_shared.locks import LOCK_FILE, alone
from hum_shared.model.device import describe
from hum_shared.model.front_end import FrontEnd
from hum_shared.model.model_file import save_model
from hum_shared.model.model_parts import classifier_opts, encoder_opts
from hum_shared.model.network import Network, build_network, input_shapes
from hum_shared.model.script_file import save_script
from hum_shared.progress import track
from hum_shared.stopping import StopRequest
from hum_trainer.batches import HIGHEST_PITCH_SOURCE, BatchMaker
from hum_trainer.clips import (
    PARTS,
    Clip,
    Part,
    class_indices,
    clips_digest,
    read_noise,
    read_part,
    training_sources,
)
from hum_trainer.front_end_options import data_opts
from hum_trainer.loop import Trainer
from hum_trainer.measures import Outcome
from hum_trainer.memory import free_memory, require_room
from hum_trainer.run_state import (
    PACKAGES,
    RunFolders,
    device_and_precision,
    ended_with_model,
    is_all_that_is_left,
    run_folders,
    usable_checkpoint,
)
from hum_trainer.spectrograms import SpectrogramStore, build_store, n_frames, stored_bytes
from hum_trainer.summaries import Summaries
from hum_trainer.tap_convs import use_tap_convs, with_plain_convs
from hum_trainer.training_log import TrainingLog

_FREE_TO_CHANGE = frozenset(
    {"max_train_epochs", "cache_dir", "num_workers", "log_dir", "summary_dir", "device", "no_cuda", "debug"}
    | {"start_from_scratch", "model_dir", "checkpoint_dir", "data_dir", "noise_dir"}
)
"""Settings that do not change what an epoch computes: a run may go on with others (data counts by content)."""
_N_EXAMPLES = 8


def run_training(
    cfg_path: Path,
    progress_file: Path | None = None,
    *,
    device: Device | None = None,
    stop: StopRequest | None = None,
) -> None:
    """Train the network of a training cfg; see `hum-trainer run --help`.

    Parameters
    ----------
    device
        Wins over the cfg's.
    stop
        Asked between batches whether to stop; None listens for signals.

    Raises
    ------
    InputError
        Bad cfg or data.
    MachineError
        No GPU where one was asked for, out of memory, or another process trains this model.
    Stopped
        On SIGUSR1 or SIGTERM, with a checkpoint from which the next run goes on exactly.
    """
    cfg = read_cfg(cfg_path, TrainingCfg)
    if device is not None:
        cfg = cfg.model_copy(update={"device": device})
    folders = run_folders(cfg, cfg_path)
    if folders.cache is not None and folders.cache.is_dir():
        remove_abandoned(folders.cache)  # a killed training's: nothing may be written there any more
    with alone(folders.models.parent, folders.checkpoints / LOCK_FILE):
        if cfg.recipe == "windows":
            from hum_trainer.windows_run import run_windows  # each recipe loads only what it needs

            run_windows(cfg, cfg_path, progress_file, stop)
        elif cfg.recipe == "frames":
            from hum_trainer.frames_run import run_frames

            run_frames(cfg, cfg_path, progress_file, stop)
        else:
            _run_clips(cfg, cfg_path, folders, progress_file, stop or StopRequest().install())


def _run_clips(
    cfg: TrainingCfg, cfg_path: Path, folders: RunFolders, progress_file: Path | None, stop: StopRequest
) -> None:
    assert folders.data is not None  # the cfg's rule
    clips = {part: read_part(folders.data, part) for part in PARTS}
    classes = class_indices([clip for part in PARTS for clip in clips[part]], cfg.num_classes, folders.data)
    noise_clips = read_noise(folders.noise) if cfg.augmentation and folders.noise else []
    data_sha256 = clips_digest(clips)
    sources = training_sources(folders.data, clips, noise_clips)
    settings_sha256 = _settings_digest(cfg, data_sha256, noise_clips)
    model_path = folders.model
    has_ended = ended_with_model(folders, settings_sha256, cfg)
    state = usable_checkpoint(folders.checkpoint, cfg, settings_sha256, has_ended)
    n_rows = len(clips["train"])
    with track("train", cfg_path.parent.name, "clips", cfg.max_train_epochs * n_rows, progress_file) as progress:
        if (state and has_ended(state)) or is_all_that_is_left(folders, settings_sha256, cfg):
            progress.message = "nothing to do: the model is up to date"
            say(f"{progress.message}: {model_path}")
            return
        log = TrainingLog(folders.logs, details=cfg.debug)
        trainer, test = _prepare(cfg, folders, clips, noise_clips, classes, settings_sha256, log)
        if state:
            trainer.restore(state)
            log.say(f"going on after {trainer.epoch} epochs and {trainer.batch} batches")
            progress.skip(trainer.epoch * n_rows)
        summaries = Summaries(folders.summaries, sorted(classes, key=lambda name: classes[name]))
        if trainer.epoch == 0:
            shown = torch.arange(min(_N_EXAMPLES, len(trainer.val_labels)))
            file_names = [trainer.val.store.clips[i].path.name for i in shown.tolist()]
            summaries.examples(trainer.val.centred(shown), file_names, 0)

        def on_batch(n_clips: int, loss: float) -> None:
            progress.advance(n_clips)
            log.detail(f"epoch {trainer.epoch + 1}, batch {trainer.batch}: {n_clips} clips, loss {loss:.6f}")

        def on_evaluation(epoch: int, outcome: Outcome) -> None:
            row = trainer.history[-1]
            progress.message = (
                f"epoch {epoch}: loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f}, "
                f"accuracy {row['val_accuracy']:.3f}, F1 {row['val_f1']:.3f}"
            )
            log.say(progress.message)
            summaries.evaluation(epoch, trainer.history, outcome)

        trainer.fit(stop, on_batch, on_evaluation)
        progress.total = progress.done  # a last batch may be short, and training may stop early
        trainer.use_best()
        parts = {
            "val": trainer.outcome(trainer.val, trainer.val_labels),
            "test": trainer.outcome(test, _labels(test.store, classes)),
        }
        summaries.outcome("test", trainer.epoch, parts["test"])
        summaries.close()
        _write_model(model_path, folders.card, cfg, trainer, classes, clips, data_sha256, sources, parts)
        measures = parts["test"].measures()
        progress.message = f"best epoch {trainer.best_epoch}, test accuracy {measures['accuracy']:.3f}"
        log.say(f"{progress.message}, F1 {measures['f1']:.3f}: {model_path}")


def _prepare(
    cfg: TrainingCfg,
    folders: RunFolders,
    clips: Mapping[Part, Sequence[Clip]],
    noise_clips: Sequence[Clip],
    classes: Mapping[str, int],
    settings_sha256: str,
    log: TrainingLog,
) -> tuple[Trainer, BatchMaker]:
    device, precision = device_and_precision(cfg)
    opts = data_opts(cfg)
    front_end = FrontEnd(opts, min_max_norm=cfg.min_max_norm)
    window = math.ceil(cfg.sequence_len / 1000 * cfg.sr)  # as the predictor's grid rounds it
    frames = n_frames(window, cfg.n_fft, cfg.hop_length)
    reach = HIGHEST_PITCH_SOURCE if cfg.augmentation else 1
    bins = min(cfg.n_fft // 2 + 1, int(front_end.highest_bin * reach) + 2)
    wanted = [(clips[part], part == "train") for part in PARTS] + [(noise_clips, True)]
    n_bytes = sum(stored_bytes(chosen, front_end, window, whole=whole, bins=bins) for chosen, whole in wanted)
    n_clips = sum(len(chosen) for chosen, _ in wanted)
    require_room(n_bytes, f"the spectrograms of {n_clips} clips", free_memory(), "Ask for more, or use fewer clips.")
    log.say(f"computing spectrograms of {sum(map(len, clips.values()))} clips; {describe(device, precision)}")

    def store(chosen: Sequence[Clip], *, whole: bool) -> SpectrogramStore:
        return build_store(
            chosen,
            front_end,
            window,
            whole=whole,
            bins=bins,
            cache_dir=folders.cache,
            num_workers=cfg.num_workers,
            filter_broken=cfg.filter_broken_audio,
        )

    stores = {part: store(clips[part], whole=part == "train") for part in PARTS}
    noise = store(noise_clips, whole=True) if noise_clips else None
    front_end = front_end.to(device)
    makers = {
        part: BatchMaker(stores[part], front_end, frames, noise, cfg.augmentation and part == "train") for part in PARTS
    }
    torch.manual_seed(cfg.seed)  # the network's first weights
    network = build_network(
        resnet_size=cfg.resnet,
        max_pool=cfg.max_pool,
        conv_kernel_size=cfg.conv_kernel_size,
        num_classes=cfg.num_classes,
    )
    if min(cfg.batch_size, len(stores["train"].clips)) == 1 and _maps_end_as_points(network, frames, opts.input_bins):
        raise InputError(
            f"batch_size={cfg.batch_size}, {len(stores['train'].clips)} training clips: batches of one window leave "
            f"batch normalisation a single value at sequence_len={cfg.sequence_len}. Use a batch_size of at least 2, "
            "and as many clips."
        )
    use_tap_convs(network, frames, opts.input_bins, device)
    trainer = Trainer(
        cfg=cfg,
        network=network,
        train=makers["train"],
        train_labels=_labels(stores["train"], classes),
        val=makers["val"],
        val_labels=_labels(stores["val"], classes),
        device=device,
        precision=precision,
        checkpoint=folders.checkpoint,
        settings_sha256=settings_sha256,
    )
    return trainer, makers["test"]


def _maps_end_as_points(network: Network, rows: int, bins: int) -> bool:
    shapes = input_shapes(network.encoder, rows, bins).items()
    norms = (shape for name, shape in shapes if isinstance(network.encoder.get_submodule(name), nn.BatchNorm2d))
    return any(shape[2] * shape[3] == 1 for shape in norms)


def _labels(store: SpectrogramStore, classes: Mapping[str, int]) -> torch.Tensor:
    return torch.tensor([classes[clip.class_name] for clip in store.clips])


def _settings_digest(cfg: TrainingCfg, data_sha256: str, noise: Sequence[Clip]) -> str:
    keys = (ClipsCfg.model_fields.keys() | {"recipe"}) - _FREE_TO_CHANGE
    settings = cfg.model_dump(mode="json", include=keys)
    return sha256_json([settings, data_sha256, [sha256_file(clip.path) for clip in noise]])


def _write_model(
    model_path: Path,
    card_path: Path,
    cfg: TrainingCfg,
    trainer: Trainer,
    classes: Mapping[str, int],
    clips: Mapping[Part, Sequence[Clip]],
    data_sha256: str,
    sources: Mapping[str, Any],
    parts: Mapping[str, Outcome],
) -> None:
    network, opts = with_plain_convs(trainer.network).cpu().eval(), data_opts(cfg)
    if cfg.jit_save:
        save_script(model_path, network, opts, classes, trainer.val.centred(torch.arange(1)).cpu())
    else:
        save_model(model_path, network, opts, classes)
    counts = {part: dict(sorted(Counter(clip.class_name for clip in clips[part]).items())) for part in PARTS}
    card = ModelCard(
        model_file=model_path.name,
        model_sha256=sha256_file(model_path),
        encoder_opts=encoder_opts(network.encoder),
        classifier_opts=classifier_opts(network.classifier),
        data_opts=opts.as_dict(),
        classes=dict(classes),
        loads_in_original_programs=True,
        metrics={part: outcome.measures() for part, outcome in parts.items()},
        best_epoch=trainer.best_epoch,
        n_epochs=trainer.epoch,
        training_data={
            "data_dir": cfg.data_dir,
            "sha256": data_sha256,
            "settings_sha256": trainer.settings_sha256,
            "clips": counts,
            **sources,
        },
        training_cfg=cfg.model_dump(mode="json"),
        seed=cfg.seed,
        provenance=provenance.collect(PACKAGES, cfg_sha256=cfg.digest(), seed=cfg.seed),
    )
    write_card(card_path, card)
