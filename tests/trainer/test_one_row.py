"""Convolutions with one row of output, against the convolutions they stand for."""

import copy

import pytest
import torch
from torch import nn

from hum_shared.model.network import build_network
from hum_trainer.averaging import AveragedNetwork
from hum_trainer.one_row import OneRowConv2d, fitting_optimizer_state, use_one_row_convs, with_plain_convs

ROWS, BINS = 17, 40


@pytest.mark.parametrize(("stride", "rows"), [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("columns", [1, 2, 4, 7])
def test_results_and_gradients_are_those_of_the_convolution(stride, rows, columns):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, 3, stride, 1, bias=False).double()
    mine = OneRowConv2d(conv, rows)
    x = torch.randn(3, 6, rows, columns, dtype=torch.float64, requires_grad=True)
    wanted, found = conv(x), mine(x)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    pull = torch.randn_like(wanted)
    wanted_x, wanted_weight = torch.autograd.grad(wanted, (x, conv.weight), pull)
    found_x, found_weight = torch.autograd.grad(found, (x, mine.weight), pull)
    torch.testing.assert_close(found_x, wanted_x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found_weight, mine.live(wanted_weight), rtol=1e-12, atol=1e-12)


def test_other_convolutions_and_other_inputs_are_refused():
    with pytest.raises(ValueError, match="no 3×3 convolution from 2 rows to one"):
        OneRowConv2d(nn.Conv2d(4, 4, 3, 1, 1, bias=False), 2)
    with pytest.raises(ValueError, match="no 3×3 convolution"):
        OneRowConv2d(nn.Conv2d(4, 4, 1, 1, 0, bias=False), 1)
    with pytest.raises(ValueError, match="made for inputs of 1 rows, got 2"):
        OneRowConv2d(nn.Conv2d(4, 4, 3, 2, 1, bias=False), 1)(torch.zeros(1, 4, 2, 4))


def test_only_the_last_stage_of_short_windows_is_replaced():
    network = _network()
    use_one_row_convs(network, ROWS, BINS)
    replaced = [name for name, part in network.named_modules() if isinstance(part, OneRowConv2d)]
    assert replaced == [f"encoder.layer4.{block}.conv{number}" for block in (0, 1) for number in (1, 2)]
    longer = _network()
    use_one_row_convs(longer, 4 * ROWS, BINS)
    assert not any(isinstance(part, OneRowConv2d) for part in longer.modules())


def test_what_is_written_is_the_plain_network():
    network = _network()
    before = copy.deepcopy(network.state_dict())
    use_one_row_convs(network, ROWS, BINS)
    assert _equal(network.state_dict(), before)
    with torch.no_grad():
        for value in network.parameters():
            value += 1
    trained = with_plain_convs(network)
    assert not any(isinstance(part, OneRowConv2d) for part in trained.modules())
    assert _equal(trained.state_dict(), network.state_dict())
    weight, name = trained.encoder.layer4[1].conv1.weight, "encoder.layer4.1.conv1.weight"
    torch.testing.assert_close(weight[:, :, 1], before[name][:, :, 1] + 1)
    assert torch.equal(weight[:, :, [0, 2]], before[name][:, :, [0, 2]]), "weights without gradient stay"

    other = _network(seed=1)
    use_one_row_convs(other, ROWS, BINS)
    other.load_state_dict(trained.state_dict())
    assert _equal(other.state_dict(), trained.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*layer4\.1\.conv1\.weight"):
        other.load_state_dict({key: value for key, value in before.items() if key != name})
    with pytest.raises(RuntimeError, match=r"layer4\.1\.conv1\.weight: shape \(1, 512, 3, 3\) instead of"):
        other.load_state_dict({**before, name: before[name][:1]})
    assert _equal(other.state_dict(), {**before, name: trained.state_dict()[name]})


def test_a_plain_copy_of_an_average_is_frozen_as_it_is_and_draws_no_random_numbers():
    network = _network()
    use_one_row_convs(network, ROWS, BINS)
    average = AveragedNetwork(network, decay=0.9).network
    state = torch.get_rng_state()
    plain = with_plain_convs(average)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(value.requires_grad for value in plain.parameters())
    assert not any(part.training for part in plain.modules())


def test_averages_follow_the_weights_of_one_row_convolutions():
    network = _network()
    use_one_row_convs(network, ROWS, BINS)
    averaged = AveragedNetwork(network, decay=0.9)
    with torch.no_grad():
        network.encoder.layer4[1].conv1.weight.add_(1)
    before = averaged.network.encoder.layer4[1].conv1.weight.clone()
    averaged.update(network)
    # Of the first steps a tenth is kept.
    torch.testing.assert_close(averaged.network.encoder.layer4[1].conv1.weight, before + 0.9)


def test_half_precision_reaches_the_weights_that_are_left_out():
    conv = OneRowConv2d(nn.Conv2d(6, 5, 3, 1, 1, bias=False), 1).double()
    with torch.no_grad():
        conv.weight.add_(1e-12)
    whole = conv.whole()
    assert whole.dtype == torch.float64
    assert torch.equal(conv.live(whole), conv.weight)


def test_no_windows_give_no_rows():
    conv = OneRowConv2d(nn.Conv2d(6, 5, 3, 2, 1, bias=False), 2)
    assert conv(torch.zeros(0, 6, 2, 9)).shape == (0, 5, 1, 5)


def test_training_takes_the_steps_of_the_plain_network_and_goes_on_from_its_checkpoint():
    plain, mine = _network(), _network()
    use_one_row_convs(mine, ROWS, BINS)
    plain_adam, my_adam = _adam(plain), _adam(mine)
    losses = [(_step(plain, plain_adam, seed), _step(mine, my_adam, seed)) for seed in range(4)]
    for wanted, found in losses:
        assert found == pytest.approx(wanted, rel=1e-4)

    resumed = _network(seed=2)
    use_one_row_convs(resumed, ROWS, BINS)
    resumed.load_state_dict(plain.state_dict())
    adam = _adam(resumed)
    adam.load_state_dict(fitting_optimizer_state(plain_adam.state_dict(), resumed))
    moments = adam.state[resumed.encoder.layer4[0].conv1.weight]["exp_avg"]
    wanted = plain_adam.state[plain.encoder.layer4[0].conv1.weight]["exp_avg"]
    assert torch.equal(moments, resumed.encoder.layer4[0].conv1.live(wanted))
    assert _step(resumed, adam, 4) == pytest.approx(_step(plain, plain_adam, 4), rel=1e-4)
    own = my_adam.state_dict()
    assert _equal_moments(fitting_optimizer_state(own, mine), own)


def _network(seed=0):
    torch.manual_seed(seed)
    return build_network(resnet_size=18, max_pool=1, conv_kernel_size=7, num_classes=2)


def _adam(network):
    return torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)


def _step(network, adam, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(6, 1, ROWS, BINS, generator=generator)
    loss = nn.functional.cross_entropy(network(inputs), torch.arange(6) % 2)
    adam.zero_grad()
    loss.backward()
    adam.step()
    return float(loss.detach())


def _equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def _equal_moments(left, right):
    return all(_equal(left["state"][index], right["state"][index]) for index in right["state"])
