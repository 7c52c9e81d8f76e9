"""Variations of spectrograms."""

import math

import pytest
import torch

from hum_trainer.augmentation import (
    change_gain,
    mask,
    mix_background,
    mixup,
    ratios,
    shift_pitch,
    soft_labels,
    stretch_time,
    uniform,
)


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


LEVEL = torch.randn(3, 21, 8, generator=_rng(5)) * 10


def test_a_rate_of_one_around_the_middle_cuts_the_middle_out_exactly():
    out = stretch_time(LEVEL, torch.full((3,), 10.0), torch.ones(3), 5)
    assert torch.equal(out, LEVEL[:, 8:13])


def test_a_faster_reading_makes_events_shorter():
    level = torch.zeros(1, 41, 4)
    level[0, 10:31] = 30
    fast = stretch_time(level, torch.tensor([20.0]), torch.tensor([2.0]), 41)
    assert (fast[0, :, 0] > 15).sum() == 11  # of 21 frames


def test_rows_beyond_the_ends_repeat_them():
    out = stretch_time(LEVEL, torch.zeros(3), torch.ones(3), 5)
    assert torch.equal(out[:, :3], LEVEL[:, :1].expand(-1, 3, -1))


def test_a_tone_moves_by_the_factor():
    hz = torch.linspace(0, 4000, 81)
    level = torch.full((2, 3, 81), -60.0)
    level[:, :, 40] = 0.0  # 2000 Hz
    out = shift_pitch(level, hz, torch.tensor([1.1, 0.9]))
    assert hz[out[0, 0].argmax()] == pytest.approx(2200, abs=50)
    assert hz[out[1, 0].argmax()] == pytest.approx(1800, abs=50)
    assert torch.allclose(shift_pitch(LEVEL, hz[:8] + 100, torch.ones(3)), LEVEL, atol=1e-4)


def test_pitch_works_on_columns_that_repeat_a_frequency():
    hz = torch.tensor([100.0, 100, 200, 200, 300, 300, 400, 400])
    assert shift_pitch(LEVEL, hz, torch.tensor([0.9, 1.0, 1.1])).isfinite().all()


def test_background_is_added_at_the_ratio_asked_for():
    other = torch.randn(3, 21, 8, generator=_rng(6)) * 5 - 40
    snr_db = torch.tensor([0.0, 10.0, math.inf])
    out = mix_background(LEVEL, other, snr_db)
    power = lambda level: (10 ** (level / 10)).mean((1, 2))  # noqa: E731
    added = power(out) - power(LEVEL)
    assert torch.allclose(added[:2], power(LEVEL)[:2] / torch.tensor([1.0, 10.0]), rtol=1e-3)
    assert torch.allclose(out[2], LEVEL[2], atol=1e-4)


def test_gain_moves_each_example_by_its_own():
    moved = change_gain(LEVEL, torch.tensor([0.0, 3.0, -6.0])) - LEVEL
    assert torch.allclose(moved, torch.tensor([0.0, 3.0, -6.0])[:, None, None].expand_as(moved), atol=1e-4)


def test_masks_hide_at_most_their_share_and_hold_the_mean():
    level = torch.rand(50, 40, 40, generator=_rng(1))
    out = mask(level, _rng(2), largest=0.2)
    hidden = out != level
    assert hidden.any()
    assert hidden.all(2).sum(1).max() <= 9  # rows, columns: a fifth, rounded
    assert hidden.all(1).sum(1).max() <= 9
    means = level.mean((1, 2))[:, None, None].expand_as(out)
    assert torch.equal(out[hidden], means[hidden])


@pytest.mark.parametrize("shape", [(6, 2), (6, 21, 2)])
def test_mixup_keeps_labels_probabilities_and_the_larger_share_its_own(shape):
    inputs = torch.randn(6, 1, 21, 8, generator=_rng(0))
    targets = soft_labels(torch.rand(shape[:-1], generator=_rng(1)) > 0.5, 0.1)
    assert targets.shape == shape
    blended, labels = mixup(inputs, targets, 0.2, _rng(3))
    assert torch.allclose(labels.sum(-1), torch.ones(shape[:-1]))
    assert ((labels[..., 1] > 0.5) == (targets[..., 1] > 0.5)).all()
    assert not torch.equal(blended, inputs)
    assert mixup(inputs, targets, 0.0, _rng(3)) == (inputs, targets)


def test_labels_are_smoothed_towards_both_classes():
    assert torch.allclose(soft_labels(torch.tensor([True, False]), 0.1), torch.tensor([[0.05, 0.95], [0.95, 0.05]]))


def test_what_is_random_comes_from_the_generator():
    inputs, targets = torch.randn(4, 1, 5, 5, generator=_rng(0)), soft_labels(torch.ones(4), 0.1)
    for draw in (
        lambda rng: uniform(9, (-1, 1), rng),
        lambda rng: ratios(9, (0.5, 2), rng),
        lambda rng: mask(LEVEL, rng),
        lambda rng: mixup(inputs, targets, 0.4, rng)[0],
    ):
        torch.manual_seed(1)
        first = draw(_rng(7))
        torch.manual_seed(2)
        assert torch.equal(first, draw(_rng(7)))
        assert not torch.equal(first, draw(_rng(8)))


def test_ratios_lie_evenly_on_both_sides_of_one():
    drawn = ratios(20_000, (0.5, 2.0), _rng())
    assert drawn.min() >= 0.5
    assert drawn.max() <= 2.0
    assert (drawn > 1).float().mean() == pytest.approx(0.5, abs=0.02)
