"""What recipes that are judged by events share: measures, averaged weights, the course of the learning rate."""

import numpy as np
import pytest
import torch
from torch import nn

from hum_shared.decoders import Windows
from hum_shared.intervals import as_intervals
from hum_trainer.averaging import AveragedNetwork
from hum_trainer.event_loop import one_cycle
from hum_trainer.event_measures import ScoredStretch, event_outcome, mean_loss


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
