"""The training loop: epochs, validation, learning rate, early stopping, exact resumption."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hum_shared.config.training import TrainingCfg
from hum_shared.errors import InputError, MachineError
from hum_shared.model.device import autocast
from hum_shared.model.network import Network
from hum_shared.stopping import StopRequest
from hum_trainer.batches import BatchMaker, in_order, shuffled
from hum_trainer.checkpoint import save_checkpoint
from hum_trainer.measures import Outcome
from hum_trainer.tap_convs import fitting_optimizer_state, plain_optimizer_state

_EVALUATION_BATCH = 256


@dataclass
class Trainer:
    """One network in training; everything that changes while it trains.

    Attributes
    ----------
    epoch, batch
        What comes next: epochs from 0, batches within it.
    history
        One row per finished evaluation: epoch, lr, and the measures of train and val.
    best_accuracy, best_loss, best_epoch, best_state
        The best evaluation so far, by validation accuracy and then loss, and its weights.
    improved_epoch
        When the validation accuracy last rose; early stopping counts from there.
    """

    cfg: TrainingCfg
    network: Network
    train: BatchMaker
    train_labels: Tensor
    val: BatchMaker
    val_labels: Tensor
    device: torch.device
    precision: str
    checkpoint: Path
    settings_sha256: str
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    best_epoch: int = -1
    improved_epoch: int = -1
    best_state: dict[str, Tensor] = field(default_factory=dict)
    finished: bool = False

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self.optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=self.cfg.lr * self.cfg.batch_size,
            betas=(self.cfg.beta1, 0.999),
            fused=True,  # one pass over the weights instead of one per term
        )
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer,
            mode="max",
            factor=self.cfg.lr_decay_factor,
            patience=math.ceil(self.cfg.lr_patience_epochs / self.cfg.epochs_per_eval),
        )
        self.rng = torch.Generator()

    def fit(
        self, stop: StopRequest, on_batch: Callable[[int, float], None], on_evaluation: Callable[[int, Outcome], None]
    ) -> None:
        """Train until `max_train_epochs` or until early stopping.

        Parameters
        ----------
        on_batch
            Called with the number of clips just trained on and their mean loss.
        on_evaluation
            Called with the number of finished epochs and the validation outcome, after `history` has its row.

        Raises
        ------
        Stopped
            On a signal, with the checkpoint written.
        """
        while self.epoch < self.cfg.max_train_epochs and not self._patience_is_over():
            self._train_epoch(stop, on_batch)
            self.epoch, self.batch = self.epoch + 1, 0
            if self.epoch % self.cfg.epochs_per_eval == 0 or self.epoch == self.cfg.max_train_epochs:
                on_evaluation(self.epoch, self._evaluate())
                self.save()
        self.finished = True
        self.save()

    def outcome(self, part: BatchMaker, labels: Tensor) -> Outcome:
        """Return the network's predictions for the centre windows of a part.

        Raises
        ------
        InputError
            When they are NaN: training has diverged.
        """
        self.network.eval()
        probs, loss = [], 0.0
        with torch.inference_mode():
            for clips in in_order(len(labels), _EVALUATION_BATCH):
                inputs = part.centred(clips)  # in float32, as in training: mel and mfcc are matrix products
                with autocast(self.device, self.precision):
                    logits = self.network(inputs)
                wanted = labels[clips].to(self.device)
                loss += float(nn.functional.cross_entropy(logits.float(), wanted, reduction="sum"))
                self._refuse_divergence(loss)
                probs.append(torch.softmax(logits.float(), 1).cpu().numpy())
        return Outcome(loss / len(labels), np.concatenate(probs), labels.numpy())

    def use_best(self) -> None:
        """Put the best weights back into the network."""
        self.network.load_state_dict(self.best_state)

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {
                "settings_sha256": self.settings_sha256,
                "network": self.network.state_dict(),
                "optimizer": plain_optimizer_state(self.optimizer.state_dict(), self.network),
                "scheduler": self.scheduler.state_dict(),
                "rng": self.rng.get_state(),
                **{name: getattr(self, name) for name in _STATE},
            },
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`save` wrote."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(fitting_optimizer_state(state["optimizer"], self.network))
        self.scheduler.load_state_dict(state["scheduler"])
        self.rng.set_state(state["rng"])
        for name in _STATE:
            setattr(self, name, state[name])
        self.finished = False

    def _train_epoch(self, stop: StopRequest, on_batch: Callable[[int, float], None]) -> None:
        # The order depends on seed and epoch alone; windows and augmentation draw from their own stream.
        order = torch.Generator().manual_seed(self.cfg.seed * 1_000_003 + self.epoch)
        batches = shuffled(len(self.train_labels), self.cfg.batch_size, order)
        if self.batch == 0:
            self.rng.manual_seed(self.cfg.seed * 1_000_003 + 500_000_000 + self.epoch)
            self.loss_sum, self.loss_count = 0.0, 0
        self.network.train()
        for clips in batches[self.batch :]:
            if stop.requested:
                self.save()
                stop.check(f"checkpoint at epoch {self.epoch + 1}, batch {self.batch} is in {self.checkpoint}")
            loss = self._step(clips)
            self.loss_sum += loss * len(clips)
            self.loss_count += len(clips)
            self.batch += 1
            on_batch(len(clips), loss)

    def _step(self, clips: Tensor) -> float:
        try:
            inputs = self.train.random(clips, self.rng)
            with autocast(self.device, self.precision):
                logits = self.network(inputs)
            loss = nn.functional.cross_entropy(logits.float(), self.train_labels[clips].to(self.device))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        except torch.OutOfMemoryError:
            raise MachineError(f"out of GPU memory with batch_size {self.cfg.batch_size}. Use a smaller one.") from None
        value = float(loss.detach())
        self._refuse_divergence(value)
        return value

    def _refuse_divergence(self, loss: float) -> None:
        if not math.isfinite(loss):
            rate = self.optimizer.param_groups[0]["lr"]
            raise InputError(
                f"training has diverged: the loss is {loss} in epoch {self.epoch + 1}, batch {self.batch}, "
                f"at a learning rate of {rate:g} (lr × batch_size). Lower lr."
            )

    def _evaluate(self) -> Outcome:
        outcome = self.outcome(self.val, self.val_labels)
        measures = outcome.measures()
        self.history.append(
            {
                "epoch": self.epoch,
                "lr": self.optimizer.param_groups[0]["lr"],
                "train_loss": self.loss_sum / self.loss_count,
                **{f"val_{name}": value for name, value in measures.items()},
            }
        )
        self.scheduler.step(measures["accuracy"])
        accuracy, loss = measures["accuracy"], measures["loss"]
        if accuracy > self.best_accuracy:
            self.improved_epoch = self.epoch
        # Small validation parts tie often: among equals the surer network is the better one.
        if (accuracy, -loss) > (self.best_accuracy, -self.best_loss):
            self.best_accuracy, self.best_loss, self.best_epoch = accuracy, loss, self.epoch
            self.best_state = copy.deepcopy(
                {name: value.detach().cpu() for name, value in self.network.state_dict().items()}
            )
        return outcome

    def _patience_is_over(self) -> bool:
        return self.improved_epoch >= 0 and self.epoch - self.improved_epoch >= self.cfg.early_stopping_patience_epochs


_STATE = (
    "epoch", "batch", "loss_sum", "loss_count", "history", "best_accuracy", "best_loss", "best_epoch",
    "improved_epoch", "best_state", "finished",
)  # fmt: skip
