"""The folded encoder gives the features of the one in the file, and leaves that as it is."""

import pytest
import torch
from torch import nn

from hum_shared.model.folded import folded, with_winograd
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import LoadedModel
from hum_shared.model.network import build_network
from hum_shared.model.scoring import WindowScorer
from hum_shared.model.winograd import WinogradConv2d

OPTS = DataOpts(sr=8000, n_fft=256, hop_length=128, n_freq_bins=64, fmin=0, fmax=4000)


def _network(resnet_size=18, max_pool=2, pooling="avg"):
    """Return a network whose batch normalisation has statistics as after training."""
    torch.manual_seed(0)
    network = build_network(
        resnet_size=resnet_size, max_pool=max_pool, conv_kernel_size=7, num_classes=3, pooling=pooling
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.2, 0.6)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def _scorer(network, precision="float32"):
    model = LoadedModel(network.encoder, network.classifier, network.classifier.pooling, OPTS, {}, {}, "")
    return WindowScorer(model, min_max_norm=True, device=torch.device("cpu"), precision=precision)


@pytest.mark.parametrize(("resnet_size", "max_pool"), [(18, 0), (18, 1), (18, 2), (34, 1), (50, 0), (101, 1), (152, 1)])
@torch.inference_mode()
def test_features_are_those_of_the_network_in_the_file(resnet_size, max_pool):
    encoder = _network(resnet_size, max_pool).encoder
    x = torch.rand(2, 1, 17, 64)
    exact = encoder.double()(x.double())
    encoder.float()
    mine = folded(encoder)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in mine.modules())
    torch.testing.assert_close(mine(x).double(), exact, rtol=1e-4, atol=1e-5 * float(exact.abs().max()))
    fast = with_winograd(mine, 64)
    torch.testing.assert_close(fast(x).double(), exact, rtol=1e-4, atol=1e-5 * float(exact.abs().max()))


@pytest.mark.parametrize(("n_freq_bins", "chosen"), [(256, 9), (64, 9), (32, 6), (16, 3), (8, 0)])
def test_narrow_maps_are_left_to_direct_convolution(n_freq_bins, chosen):
    encoder = with_winograd(folded(_network().encoder), n_freq_bins)
    assert sum(isinstance(module, WinogradConv2d) for module in encoder.modules()) == chosen


@pytest.mark.parametrize("pooling", ["avg", "max"])
@torch.inference_mode()
def test_scores_are_those_of_the_network_in_the_file(pooling):
    network = _network(pooling=pooling)
    x = torch.rand(5, 1, 17, 64)
    probs, latent = _scorer(network).score_inputs(x, latent=True)
    features = network.encoder(x)
    torch.testing.assert_close(probs, torch.softmax(network.classifier(features), dim=1), rtol=0, atol=1e-6)
    torch.testing.assert_close(latent, network.classifier.pool(features), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_bfloat16_scores_are_near():
    network = _network()
    x = torch.rand(5, 1, 17, 64)
    probs, _ = _scorer(network, "bfloat16").score_inputs(x)
    assert probs.dtype == torch.float32
    torch.testing.assert_close(probs, torch.softmax(network(x), dim=1), rtol=0, atol=0.02)


def test_the_network_itself_stays_as_it_is():
    network = _network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    _scorer(network)
    assert network.training
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
