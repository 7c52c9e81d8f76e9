"""3×3 convolutions as products of taps, against the convolutions they stand for."""

import copy

import pytest
import torch
from torch import nn

from hum_shared.model.network import build_network
from hum_trainer.averaging import AveragedNetwork
from hum_trainer.tap_convs import (
    TapConv2d,
    fitting_optimizer_state,
    plain_optimizer_state,
    use_tap_convs,
    with_plain_convs,
)

ROWS, BINS = 17, 40
CPU = torch.device("cpu")
LAST_STAGE = [f"encoder.layer4.{block}.conv{number}" for block in (0, 1) for number in (1, 2)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("columns", [1, 2, 4, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_results_and_gradients_are_those_of_the_convolution(stride, rows, columns, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, 3, stride, 1, bias=False).double()
    mine = TapConv2d(conv, rows)
    x = torch.randn(3, 6, rows, columns, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    wanted, found = conv(x), mine(x)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    pull = torch.randn_like(wanted)
    wanted_x, wanted_weight = torch.autograd.grad(wanted, (x, conv.weight), pull)
    found_x, found_weight = torch.autograd.grad(found, (x, mine.weight), pull)
    torch.testing.assert_close(found_x, wanted_x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found_weight, mine.live(wanted_weight), rtol=1e-12, atol=1e-12)


def test_weights_that_meet_padding_alone_have_no_gradient():
    conv = nn.Conv2d(6, 5, 3, 1, 1, bias=False)
    assert TapConv2d(conv, 1).weight.shape == (1, 18, 5)
    assert TapConv2d(conv, 2).weight.shape == (3, 18, 5)
    assert TapConv2d(nn.Conv2d(6, 5, 3, 2, 1, bias=False), 2).weight.shape == (2, 18, 5)


def test_a_frozen_input_or_weight_costs_no_gradient():
    conv = TapConv2d(nn.Conv2d(6, 5, 3, 1, 1, bias=False), 3)
    conv(torch.randn(2, 6, 3, 4)).sum().backward()
    assert conv.weight.grad is not None
    frozen = TapConv2d(nn.Conv2d(6, 5, 3, 1, 1, bias=False), 3).requires_grad_(False)
    x = torch.randn(2, 6, 3, 4, requires_grad=True)
    frozen(x).sum().backward()
    assert x.grad is not None
    assert frozen.weight.grad is None


def test_autocast_computes_in_its_precision_and_gives_gradients_in_the_weights_own():
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, 3, 1, 1, bias=False)
    mine, x = TapConv2d(conv, 3), torch.randn(4, 6, 3, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mine(x)
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert mine.weight.grad.dtype == torch.float32
    wanted = conv(x)
    wanted.sum().backward()
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.02)
    torch.testing.assert_close(mine.weight.grad, mine.live(conv.weight.grad), rtol=0.02, atol=0.2)


def test_other_convolutions_and_other_inputs_are_refused():
    for conv in (
        nn.Conv2d(4, 4, 1, 1, 0, bias=False),
        nn.Conv2d(4, 4, 3, 3, 1, bias=False),
        nn.Conv2d(4, 4, 3, 1, 1),
        nn.Conv2d(4, 4, 3, 1, 1, groups=2, bias=False),
    ):
        with pytest.raises(ValueError, match="no 3×3 convolution with padding 1"):
            TapConv2d(conv, 1)
    with pytest.raises(ValueError, match="made for inputs of 1 rows, got 2"):
        TapConv2d(nn.Conv2d(4, 4, 3, 2, 1, bias=False), 1)(torch.zeros(1, 4, 2, 4))


@pytest.mark.parametrize(("rows", "device", "wanted"), [
    (ROWS, "cpu", LAST_STAGE),
    (4 * ROWS, "cpu", LAST_STAGE),
    (ROWS, "cuda", LAST_STAGE),
    (4 * ROWS, "cuda", []),
])  # fmt: skip
def test_the_last_stage_is_replaced_on_gpus_only_where_that_leaves_weights_out(rows, device, wanted):
    network = _network()
    use_tap_convs(network, rows, BINS, torch.device(device))
    assert [name for name, part in network.named_modules() if isinstance(part, TapConv2d)] == wanted


def test_what_is_written_is_the_plain_network():
    network = _network()
    before = copy.deepcopy(network.state_dict())
    use_tap_convs(network, ROWS, BINS, CPU)
    assert _equal(network.state_dict(), before)
    with torch.no_grad():
        for value in network.parameters():
            value += 1
    trained = with_plain_convs(network)
    assert not any(isinstance(part, TapConv2d) for part in trained.modules())
    assert _equal(trained.state_dict(), network.state_dict())
    weight, name = trained.encoder.layer4[1].conv1.weight, "encoder.layer4.1.conv1.weight"
    torch.testing.assert_close(weight[:, :, 1], before[name][:, :, 1] + 1)
    assert torch.equal(weight[:, :, [0, 2]], before[name][:, :, [0, 2]]), "weights without gradient stay"

    other = _network(seed=1)
    use_tap_convs(other, ROWS, BINS, CPU)
    other.load_state_dict(trained.state_dict())
    assert _equal(other.state_dict(), trained.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*layer4\.1\.conv1\.weight"):
        other.load_state_dict({key: value for key, value in before.items() if key != name})
    with pytest.raises(RuntimeError, match=r"layer4\.1\.conv1\.weight: shape \(1, 512, 3, 3\) instead of"):
        other.load_state_dict({**before, name: before[name][:1]})
    assert _equal(other.state_dict(), {**before, name: trained.state_dict()[name]})


def test_a_plain_copy_of_an_average_is_frozen_as_it_is_and_draws_no_random_numbers():
    network = _network()
    use_tap_convs(network, ROWS, BINS, CPU)
    average = AveragedNetwork(network, decay=0.9).network
    state = torch.get_rng_state()
    plain = with_plain_convs(average)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(value.requires_grad for value in plain.parameters())
    assert not any(part.training for part in plain.modules())


def test_averages_follow_the_weights_of_tap_convs_convolutions():
    network = _network()
    use_tap_convs(network, ROWS, BINS, CPU)
    averaged = AveragedNetwork(network, decay=0.9)
    with torch.no_grad():
        network.encoder.layer4[1].conv1.weight.add_(1)
    before = averaged.network.encoder.layer4[1].conv1.weight.clone()
    averaged.update(network)
    # Of the first steps a tenth is kept.
    torch.testing.assert_close(averaged.network.encoder.layer4[1].conv1.weight, before + 0.9)


def test_half_precision_reaches_the_weights_that_are_left_out():
    conv = TapConv2d(nn.Conv2d(6, 5, 3, 1, 1, bias=False), 1).double()
    with torch.no_grad():
        conv.weight.add_(1e-12)
    whole = conv.whole()
    assert whole.dtype == torch.float64
    assert torch.equal(conv.live(whole), conv.weight)


def test_no_windows_give_no_rows():
    conv = TapConv2d(nn.Conv2d(6, 5, 3, 2, 1, bias=False), 2)
    assert conv(torch.zeros(0, 6, 2, 9)).shape == (0, 5, 1, 5)


def test_training_takes_the_steps_of_the_plain_network_and_goes_on_from_its_checkpoint():
    plain, mine = _network().double(), _network()
    use_tap_convs(mine, ROWS, BINS, CPU)
    mine.double()
    plain_adam, my_adam = _adam(plain), _adam(mine)
    losses = [(_step(plain, plain_adam, seed), _step(mine, my_adam, seed)) for seed in range(4)]
    for wanted, found in losses:
        assert found == pytest.approx(wanted, rel=1e-9)

    resumed = _network(seed=2)
    use_tap_convs(resumed, ROWS, BINS, CPU)
    resumed.double()
    resumed.load_state_dict(plain.state_dict())
    adam = _adam(resumed)
    adam.load_state_dict(fitting_optimizer_state(plain_adam.state_dict(), resumed))
    moments = adam.state[resumed.encoder.layer4[0].conv1.weight]["exp_avg"]
    wanted = plain_adam.state[plain.encoder.layer4[0].conv1.weight]["exp_avg"]
    assert torch.equal(moments, resumed.encoder.layer4[0].conv1.live(wanted))
    assert _step(resumed, adam, 4) == pytest.approx(_step(plain, plain_adam, 4), rel=1e-9)
    written = plain_optimizer_state(my_adam.state_dict(), mine)
    assert [value["exp_avg"].shape for value in written["state"].values()] == [
        value["exp_avg"].shape for value in plain_adam.state_dict()["state"].values()
    ]
    assert _equal_moments(fitting_optimizer_state(written, mine), my_adam.state_dict())


@pytest.mark.parametrize(("stride", "rows"), [(1, 1), (2, 1), (2, 2)])
def test_moments_of_one_row_of_output_as_earlier_versions_wrote_them(stride, rows):
    conv = nn.Conv2d(6, 5, 3, stride, 1, bias=False)
    network = nn.Sequential(TapConv2d(conv, rows))
    whole = torch.randn(5, 6, 3, 3)
    earlier = whole[:, :, 1 : 1 + rows].permute(0, 3, 2, 1).flatten(1)
    state = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": earlier}}, "param_groups": []}
    found = fitting_optimizer_state(state, network)["state"][0]
    assert torch.equal(found["exp_avg"], network[0].live(whole))
    assert found["step"] == 3


def _network(seed=0):
    torch.manual_seed(seed)
    return build_network(resnet_size=18, max_pool=1, conv_kernel_size=7, num_classes=2)


def _adam(network):
    return torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)


def _step(network, adam, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(6, 1, ROWS, BINS, generator=generator, dtype=network.classifier.linear.weight.dtype)
    loss = nn.functional.cross_entropy(network(inputs), torch.arange(6) % 2)
    adam.zero_grad()
    loss.backward()
    adam.step()
    return float(loss.detach())


def _equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def _equal_moments(left, right):
    return all(_equal(left["state"][index], right["state"][index]) for index in right["state"])
