"""What every form of model file has in common: front-end settings, classes, and how torch writes and fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError
from torch import nn

from hum_shared.errors import ModelError
from hum_shared.files import atomic_path
from hum_shared.model.dense import DenseNetwork
from hum_shared.model.front_end import DataOpts
from hum_shared.model.network import Classifier, Encoder

OLD_CLASSES = {"noise": 0, "target": 1}
"""What files mean that carry no classes."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to score.

    Attributes
    ----------
    encoder, classifier
        Map (N, 1, T, F) to features and features to logits; `Network` parts or TorchScript modules.
    data_opts
        Front-end settings.
    raw_data_opts
        The same as they stand in the file.
    classes
        Name → index.
    sha256
        Digest of the file.
    """

    encoder: nn.Module
    classifier: nn.Module
    pooling: str
    data_opts: DataOpts
    raw_data_opts: dict[str, Any]
    classes: dict[str, int]
    sha256: str


@dataclass(frozen=True)
class DenseModel:
    """A dense model ready to score frames; attributes as in :class:`LoadedModel`."""

    network: DenseNetwork
    data_opts: DataOpts
    raw_data_opts: dict[str, Any]
    classes: dict[str, int]
    sha256: str


@contextmanager
def torch_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file for `torch.save` to write; it appears when the block ends well. Equal contents give equal bytes.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    # Given a path instead of a file, torch would put its name, here a random one, into the file.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            yield file
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch then speaks of a broken archive
                raise error.__context__ from None
            raise


def encoder_opts(encoder: Encoder) -> dict[str, Any]:
    """Return `encoderOpts` as the file holds it."""
    return {
        "input_channels": encoder.conv1.in_channels,
        "conv_kernel_size": encoder.conv1.kernel_size[0],
        "max_pool": encoder.max_pool,
        "resnet_size": encoder.resnet_size,
    }


def classifier_opts(classifier: Classifier) -> dict[str, Any]:
    """Return `classifierOpts` as the file holds it."""
    return {
        "input_channels": classifier.linear.in_features,
        "pooling": classifier.pooling,
        "num_classes": classifier.linear.out_features,
    }


def classes_of(value: Any, path: Path) -> dict[str, int]:
    """Return the classes of a file, name → index; None means :data:`OLD_CLASSES`."""
    if value is None:
        return dict(OLD_CLASSES)
    if not isinstance(value, Mapping) or sorted(value.values()) != list(range(len(value))) or len(value) < 2:
        raise ModelError(f"{path}: classes {value!r} do not number two or more classes from 0")
    return {str(name): int(index) for name, index in value.items()}


def data_opts_of(raw: Mapping[str, Any], path: Path) -> DataOpts:
    """Return the front-end settings of a file; a broken one is named in a ModelError."""
    try:
        return DataOpts.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = "".join(f"{part}: " for part in first["loc"])
        raise ModelError(f"{path}: dataOpts: {key}{first['msg'].removeprefix('Value error, ')}") from None


def first_line(error: Exception) -> str:
    """Return what torch says, in one line."""
    line = str(error).strip().partition("\n")[0]
    return line.partition(". This is an internal miniz error")[0][:200] or type(error).__name__
