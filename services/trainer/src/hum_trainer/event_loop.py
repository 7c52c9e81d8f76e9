"""The training loop of recipes that are judged by events: one-cycle AdamW, averaged weights, exact resumption."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from hum_shared.config.training import TrainingCfg
from hum_shared.errors import InputError, MachineError
from hum_shared.read_ahead import read_ahead
from hum_shared.stopping import StopRequest
from hum_trainer.averaging import AveragedNetwork
from hum_trainer.checkpoint import save_checkpoint
from hum_trainer.event_measures import EventOutcome
from hum_trainer.tap_convs import fitting_optimizer_state, plain_optimizer_state

Negative = tuple[int, float, float]
"""A hard negative: index of the training stretch, start and end in seconds of the recording."""

Batch = TypeVar("Batch")

_BETA2 = 0.99
_WARM_UP = 0.3  # share of the steps in which the learning rate rises
_SEED_STEP = 1_000_003


@dataclass
class EventTrainer(Generic[Batch]):
    """One network in training; everything that changes while it trains.

    Parameters
    ----------
    prepare
        Called with the epoch, the batch within it and a generator, from which all it draws comes, so that batches do
        not depend on what came before; returns what `loss` needs. It works on the CPU: for a GPU the next batch is
        prepared, on a thread, while one is computed.
    loss
        Called with the network and what `prepare` gave; returns the mean loss of the batch and how many examples it is
        of. What is random in the network comes from torch's own generator, which is seeded alike.
    evaluate
        Returns how well a network (its averaged weights) finds the calls of the validation stretches.
    mine
        Returns false alarms of a network on the training stretches, which :attr:`negatives` then holds.

    Attributes
    ----------
    epoch, batch
        What comes next: epochs from 0, batches within it.
    history
        One row per evaluation: epoch, learning rate, and the measures of train and val.
    negatives
        Hard negatives found so far.
    best_f1, best_loss, best_epoch, best_state
        The best evaluation so far, by validation event F1 and then loss, and its averaged weights.
    improved_epoch
        When the validation F1 last rose; early stopping counts from there, or from the last round of mining.
    """

    cfg: TrainingCfg
    network: nn.Module
    device: torch.device
    batches_per_epoch: int
    prepare: Callable[[int, int, torch.Generator], Batch]
    loss: Callable[[nn.Module, Batch], tuple[Tensor, int]]
    evaluate: Callable[[nn.Module], EventOutcome]
    mine: Callable[[nn.Module], Sequence[Negative]]
    checkpoint: Path
    settings_sha256: str
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    negatives: list[Negative] = field(default_factory=list)
    best_f1: float = -1.0
    best_loss: float = math.inf
    best_epoch: int = -1
    improved_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)
    finished: bool = False

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self.averaged = AveragedNetwork(self.network, self.cfg.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.cfg.lr * self.cfg.batch_size,
            betas=(self.cfg.beta1, _BETA2),
            weight_decay=self.cfg.weight_decay,
            fused=True,  # one pass over the weights instead of one per term
        )
        steps = self.cfg.max_train_epochs * self.batches_per_epoch
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: one_cycle(step, steps))

    @property
    def mining_epochs(self) -> tuple[int, ...]:
        """Epochs after which false alarms are mined: they part the training into equal rounds."""
        rounds, epochs = self.cfg.hard_negative_rounds, self.cfg.max_train_epochs
        ends = {round(epochs * number / (rounds + 1)) for number in range(1, rounds + 1)}
        return tuple(sorted(ends - {0, epochs}))

    def fit(
        self,
        stop: StopRequest,
        on_batch: Callable[[int, float], None],
        on_evaluation: Callable[[int, EventOutcome], None],
        on_mined: Callable[[int, int], None],
    ) -> None:
        """Train until `max_train_epochs` or until early stopping.

        Parameters
        ----------
        on_batch
            Called with the number of examples just trained on and their mean loss.
        on_evaluation
            Called with the number of finished epochs and the outcome, after `history` has its row.
        on_mined
            Called with the number of finished epochs and of false alarms just found.

        Raises
        ------
        Stopped
            On a signal, with the checkpoint written.
        """
        while self.epoch < self.cfg.max_train_epochs and not self._patience_is_over():
            self._train_epoch(stop, on_batch)
            # Evaluating and mining change nothing that a stop would lose: the epoch counts when all of it is done.
            done = self.epoch + 1
            if done in self.mining_epochs:
                found = list(self.mine(self.averaged.network))
                self.negatives += found
                on_mined(done, len(found))
            outcome = None
            if done % self.cfg.epochs_per_eval == 0 or done == self.cfg.max_train_epochs:
                outcome = self._evaluate(done)
            self.epoch, self.batch = done, 0
            if outcome is not None:
                on_evaluation(self.epoch, outcome)
                self.save()
            elif done in self.mining_epochs:
                self.save()
        self.finished = True
        self.save()

    def use_best(self) -> nn.Module:
        """Return the averaged network with its best weights."""
        self.averaged.network.load_state_dict(self.best_state)
        return self.averaged.network

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {
                "settings_sha256": self.settings_sha256,
                "network": self.network.state_dict(),
                "averaged": self.averaged.network.state_dict(),
                "averaged_steps": self.averaged.steps,
                "optimizer": plain_optimizer_state(self.optimizer.state_dict(), self.network),
                "scheduler": self.scheduler.state_dict(),
                **{name: getattr(self, name) for name in _STATE},
            },
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`save` wrote."""
        self.network.load_state_dict(state["network"])
        self.averaged.network.load_state_dict(state["averaged"])
        self.averaged.steps = state["averaged_steps"]
        self.optimizer.load_state_dict(fitting_optimizer_state(state["optimizer"], self.network))
        self.scheduler.load_state_dict(state["scheduler"])
        for name in _STATE:
            setattr(self, name, state[name])

    def _train_epoch(self, stop: StopRequest, on_batch: Callable[[int, float], None]) -> None:
        if self.batch == 0:
            self.loss_sum, self.loss_count = 0.0, 0
        self.network.train()
        prepared = self._prepared()
        with contextlib.closing(read_ahead(prepared, depth=1) if self.device.type == "cuda" else prepared) as batches:
            for batch in batches:
                if stop.requested:
                    self.save()
                    stop.check(f"checkpoint at epoch {self.epoch + 1}, batch {self.batch} is in {self.checkpoint}")
                loss, count = self._step(batch)
                self.loss_sum += loss * count
                self.loss_count += count
                self.batch += 1
                on_batch(count, loss)

    def _prepared(self) -> Generator[Batch, None, None]:
        """Yield what is left of the epoch's batches."""
        for batch in range(self.batch, self.batches_per_epoch):
            yield self.prepare(self.epoch, batch, torch.Generator().manual_seed(self._seed(batch)))

    def _seed(self, batch: int) -> int:
        return ((self.cfg.seed * _SEED_STEP + self.epoch) * _SEED_STEP + batch) % 2**63

    def _step(self, batch: Batch) -> tuple[float, int]:
        torch.manual_seed(self._seed(self.batch))  # dropout
        try:
            loss, count = self.loss(self.network, batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        except torch.OutOfMemoryError:
            raise MachineError(f"out of GPU memory with batch_size {self.cfg.batch_size}. Use a smaller one.") from None
        self.scheduler.step()
        self.averaged.update(self.network)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"training has diverged: the loss is {value} in epoch {self.epoch + 1}, batch {self.batch}, at a "
                f"learning rate of {self.optimizer.param_groups[0]['lr']:g} (lr × batch_size at its highest). Lower lr."
            )
        return value, count

    def _evaluate(self, epoch: int) -> EventOutcome:
        outcome = self.evaluate(self.averaged.network)
        self.history.append(
            {
                "epoch": epoch,
                "lr": self.optimizer.param_groups[0]["lr"],
                "train_loss": self.loss_sum / self.loss_count,
                **{f"val_{name}": value for name, value in outcome.measures().items()},
            }
        )
        if outcome.f1 > self.best_f1:
            self.improved_epoch = epoch
        # Few calls tie often: among equals the surer network is the better one.
        if (outcome.f1, -outcome.loss) > (self.best_f1, -self.best_loss):
            self.best_f1, self.best_loss, self.best_epoch = outcome.f1, outcome.loss, epoch
            self.best_state = copy.deepcopy(
                {name: value.detach().cpu() for name, value in self.averaged.network.state_dict().items()}
            )
        return outcome

    def _patience_is_over(self) -> bool:
        last_round = max(self.mining_epochs, default=0)
        if not self.history or self.epoch < last_round:
            return False
        return self.epoch - max(self.improved_epoch, last_round) >= self.cfg.early_stopping_patience_epochs


_STATE = (
    "epoch", "batch", "loss_sum", "loss_count", "history", "negatives", "best_f1", "best_loss", "best_epoch",
    "improved_epoch", "best_state", "finished",
)  # fmt: skip


def one_cycle(step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of the highest (Smith & Topin 2019).

    Up along a cosine from 1/25 within the first 30 %, then down to nothing.

    Parameters
    ----------
    step, steps
        Steps done, of how many; behind the end the last value holds.
    """
    rising = max(1.0, _WARM_UP * steps)
    if step < rising:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * step / rising)) / 2
    share = min(1.0, (step - rising) / max(1.0, steps - rising))
    return (1 + math.cos(math.pi * share)) / 2
