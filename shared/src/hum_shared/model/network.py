"""The ResNet of ANIMAL-SPOT (Bergler et al. 2022, doi 10.1038/s41598-022-26429-y; He et al. 2016).

Module names are those of the model file: they must not change.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

_STAGE_CHANNELS = (64, 128, 256, 512)
_BLOCKS_PER_STAGE = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; ResNet-18 and -34."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, T, F) to (N, channels, T', F')."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu_(y.add_(self.shortcut(x)))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut; ResNet-50 and larger."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, T, F) to (N, 4·channels, T', F')."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu_(y.add_(self.shortcut(x)))


class Encoder(nn.Module):
    """Convolutional part: a spectrogram window to a map of features.

    Parameters
    ----------
    resnet_size
        18, 34, 50, 101 or 152.
    max_pool
        1: 3×3 max-pool after the first convolution; 0: stride 2 in the first stage instead; 2: neither.
    conv_kernel_size
        Kernel of the first convolution.
    input_channels
        1.
    """

    def __init__(self, resnet_size: int, max_pool: int, conv_kernel_size: int, input_channels: int = 1) -> None:
        super().__init__()
        self.resnet_size, self.max_pool = resnet_size, max_pool
        block: type[BasicBlock | Bottleneck] = BasicBlock if resnet_size < 50 else Bottleneck
        stem = _STAGE_CHANNELS[0]
        self.conv1 = nn.Conv2d(input_channels, stem, conv_kernel_size, 2, conv_kernel_size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.pool = nn.MaxPool2d(3, 2, 1) if max_pool == 1 else nn.Identity()
        in_channels = stem
        stages = []
        for stage, (channels, blocks) in enumerate(zip(_STAGE_CHANNELS, _BLOCKS_PER_STAGE[resnet_size], strict=True)):
            stride = 2 if stage > 0 or max_pool == 0 else 1
            layers: list[nn.Module] = []
            for _ in range(blocks):
                layers.append(block(in_channels, channels, stride))
                in_channels, stride = channels * block.expansion, 1
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1, T, F) to (N, out_channels, T', F')."""
        x = self.pool(torch.relu_(self.bn1(self.conv1(x))))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        out: Tensor = self.layer4(x)
        return out


def input_shapes(encoder: Encoder, rows: int, bins: int) -> dict[str, torch.Size]:
    """Return what each layer gets when the encoder gets one window of `rows` × `bins`, by the layer's name."""
    encoder = copy.deepcopy(encoder).eval()  # in training mode it would learn from what it is shown
    shapes: dict[str, torch.Size] = {}
    for name, layer in encoder.named_modules():
        layer.register_forward_pre_hook(lambda _, inputs, name=name: shapes.update({name: inputs[0].shape}))
    with torch.inference_mode():
        encoder(torch.zeros(1, encoder.conv1.in_channels, rows, bins, device=encoder.conv1.weight.device))
    return shapes


class Classifier(nn.Module):
    """Pools the feature map over all positions and maps it to one number per class."""

    def __init__(self, input_channels: int, num_classes: int, pooling: str = "avg") -> None:
        super().__init__()
        self.pooling = pooling
        self.linear = nn.Linear(input_channels, num_classes)

    def pool(self, features: Tensor) -> Tensor:
        """Map (N, C, T', F') to (N, C)."""
        return features.mean((2, 3)) if self.pooling == "avg" else features.amax((2, 3))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, T', F') to logits (N, num_classes)."""
        out: Tensor = self.linear(self.pool(features))
        return out


class Network(nn.Module):
    """Encoder and classifier; the layout that the original programs trace as TorchScript."""

    def __init__(self, encoder: Encoder, classifier: Classifier) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1, T, F) to logits (N, num_classes)."""
        out: Tensor = self.classifier(self.encoder(x))
        return out


def build_network(
    *, resnet_size: int, max_pool: int, conv_kernel_size: int, num_classes: int, pooling: str = "avg"
) -> Network:
    """Return an untrained network; He initialisation for convolutions (He et al. 2015)."""
    encoder = Encoder(resnet_size, max_pool, conv_kernel_size)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return Network(encoder, Classifier(encoder.out_channels, num_classes, pooling))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    if stride == 1 and in_channels == out_channels:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
