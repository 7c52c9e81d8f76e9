"""What recipes that are judged by events share: measures, averaged weights, the course of the learning rate."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hum_shared.config.training import TrainingCfg
from hum_shared.decoders import Windows
from hum_shared.intervals import as_intervals
from hum_shared.stopping import StopRequest
from hum_trainer.averaging import AveragedNetwork
from hum_trainer.event_loop import EventTrainer, one_cycle
from hum_trainer.event_measures import EventOutcome, ScoredStretch, event_outcome, mean_loss


def _scored(levels, calls, step_s=0.1):
    p = np.asarray(levels, dtype=np.float64)
    start_s = np.arange(len(p)) * step_s
    return ScoredStretch(Windows(start_s, start_s + step_s, np.column_stack((1 - p, p))), as_intervals(calls))


def test_perfect_scores_find_every_call():
    outcome = event_outcome([_scored([0, 0, 1, 1, 1, 0, 0, 1, 1, 0], [(0.2, 0.5), (0.7, 0.9)])], 0, 0)
    assert (outcome.f1, outcome.precision, outcome.recall) == (1, 1, 1)
    assert outcome.loss < 1e-4


def test_the_settings_that_find_most_are_taken():
    # The call scores 0.6, a false alarm 0.4: only a threshold between them is right.
    outcome = event_outcome([_scored([0, 0.6, 0.6, 0, 0, 0.4, 0.4, 0], [(0.1, 0.3)])], 0, 0)
    assert outcome.f1 == 1
    assert 0.4 < outcome.threshold <= 0.6


def test_stretches_count_together_and_those_without_calls_count_false_alarms():
    right = _scored([0, 1, 1, 0], [(0.1, 0.3)])
    wrong = _scored([0, 1, 1, 0], [])
    outcome = event_outcome([right, wrong], 0, 0)
    assert (outcome.precision, outcome.recall) == (0.5, 1)
    nothing = event_outcome([_scored([0, 0, 0], [])], 0, 0)
    assert (nothing.f1, nothing.precision, nothing.recall) == (0, 0, 0)


def test_the_loss_is_that_of_the_instants():
    loss = mean_loss([_scored([0.25, 0.8], [(0.1, 0.2)])])
    assert loss == pytest.approx(-(np.log(0.75) + np.log(0.8)) / 2)


def test_the_average_follows_and_smooths_the_weights():
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    averaged = AveragedNetwork(network, decay=0.9)
    rng = torch.Generator().manual_seed(0)
    values = 5 + torch.randn(400, generator=rng)
    for value in values:
        network[0].weight.data.fill_(value)
        network[1].num_batches_tracked += 1
        averaged.update(network)
    kept = averaged.network[0].weight.item()
    assert kept == pytest.approx(5, abs=1)
    assert kept != network[0].weight.item()
    assert averaged.network[1].num_batches_tracked == 400
    assert not averaged.network[0].weight.requires_grad


def test_without_decay_the_average_is_the_network():
    network = nn.Linear(2, 2)
    averaged = AveragedNetwork(network, decay=0)
    network.weight.data.fill_(3)
    averaged.update(network)
    assert torch.equal(averaged.network.weight, network.weight)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_the_learning_rate_rises_once_and_falls_to_nothing(steps):
    rates = [one_cycle(step, steps) for step in range(steps + 1)]
    top = int(np.argmax(rates))
    assert max(rates) == pytest.approx(1, abs=0.3 if steps < 5 else 0.05)
    assert np.all(np.diff(rates[: top + 1]) >= 0)
    assert np.all(np.diff(rates[top:]) <= 0)
    assert rates[0] == pytest.approx(0.04)
    assert all(0 <= rate <= 1 for rate in rates)
    assert steps == 1 or rates[-1] == pytest.approx(0, abs=1e-9)


def _trainer(tmp_path, outcomes, mined=(), **settings):
    """A trainer of a tiny network whose evaluations and false alarms are given."""
    values = {"model_dir": "m", "checkpoint_dir": "c", "recipe": "frames", "corpus_index": "i", "epochs_per_eval": 1}
    cfg = TrainingCfg.model_validate({**values, "hard_negative_rounds": 0, "ema_decay": 0, **settings})
    remaining = iter(outcomes)
    seen = []

    def prepare(epoch, batch, rng):
        seen.append((epoch, batch, list(trainer.negatives)))
        return torch.randn(4, 2, generator=rng)

    def loss(network, batch):
        return network(batch).square().mean(), 4

    trainer = EventTrainer(
        cfg=cfg,
        network=nn.Linear(2, 1),
        device=torch.device("cpu"),
        batches_per_epoch=2,
        prepare=prepare,
        loss=loss,
        evaluate=lambda _: next(remaining),
        mine=lambda _: mined,
        checkpoint=tmp_path / "checkpoint.pk",
        settings_sha256="s",
    )
    return trainer, seen


def _outcome(f1, loss):
    return EventOutcome(loss=loss, f1=f1, precision=f1, recall=f1, threshold=0.5, edge_level=0.5)


def _fit(trainer):
    trainer.fit(StopRequest(), lambda *_: None, lambda *_: None, lambda *_: None)


def test_for_a_gpu_the_next_batch_is_prepared_on_a_thread(tmp_path):
    made_by, weights = [], []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        trainer, seen = _trainer(tmp_path, [_outcome(0.5, 1.0)] * 2, max_train_epochs=2)
        prepare = trainer.prepare

        def noting(*batch, prepare=prepare):
            made_by.append(threading.current_thread().name)
            return prepare(*batch)

        trainer.prepare, trainer.device = noting, SimpleNamespace(type=device)
        _fit(trainer)
        assert [(epoch, batch) for epoch, batch, _ in seen] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        weights.append(trainer.network.weight.detach().clone())
    assert made_by == ["MainThread"] * 4 + ["reader"] * 4
    assert torch.equal(*weights)


def test_the_best_network_is_chosen_by_event_f1_and_among_equals_by_loss(tmp_path):
    outcomes = [_outcome(0.7, 0.1), _outcome(0.9, 0.5), _outcome(0.9, 0.4), _outcome(0.8, 0.05), _outcome(0.9, 0.45)]
    trainer, _ = _trainer(tmp_path, outcomes, max_train_epochs=5)
    _fit(trainer)
    assert (trainer.best_epoch, trainer.best_f1, trainer.best_loss) == (3, 0.9, 0.4)
    assert [row["val_f1"] for row in trainer.history] == [0.7, 0.9, 0.9, 0.8, 0.9]
    last = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    best = trainer.use_best().state_dict()
    assert not torch.equal(best["weight"], last["weight"])


def test_training_stops_when_event_f1_no_longer_rises_however_the_loss_falls(tmp_path):
    outcomes = [_outcome(0.7, 1.0), _outcome(0.8, 0.9), *(_outcome(0.8, 0.8 - 0.1 * k) for k in range(8))]
    trainer, _ = _trainer(tmp_path, outcomes, max_train_epochs=10, early_stopping_patience_epochs=3)
    _fit(trainer)
    assert (trainer.epoch, trainer.improved_epoch, trainer.best_epoch) == (5, 2, 5)
    assert trainer.finished


def test_false_alarms_are_negatives_from_the_next_epoch_on_and_patience_counts_anew(tmp_path):
    outcomes = [_outcome(0.8, 1.0)] * 8
    mined = [(0, 1.0, 2.0), (1, 3.5, 3.9)]
    trainer, seen = _trainer(
        tmp_path, outcomes, mined, max_train_epochs=8, hard_negative_rounds=1, early_stopping_patience_epochs=2
    )
    assert trainer.mining_epochs == (4,)
    _fit(trainer)
    assert [negatives for epoch, _, negatives in seen if epoch < 4] == [[]] * 8
    assert [negatives for epoch, _, negatives in seen if epoch >= 4] == [mined] * 4
    assert trainer.epoch == 6  # two epochs behind the round
