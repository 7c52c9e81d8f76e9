"""The model file `ANIMAL-SPOT.pk`: read, check, write."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hum_shared.errors import ModelError
from hum_shared.files import sha256_file
from hum_shared.model.archive import is_torchscript
from hum_shared.model.dense import DenseNetwork
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import (
    DenseModel,
    LoadedModel,
    classes_of,
    classifier_opts,
    data_opts_of,
    encoder_opts,
    first_line,
    torch_file,
)
from hum_shared.model.network import Classifier, Encoder, Network
from hum_shared.model.script_file import load_script

_HEAD = "head."  # in names of a dense network's tensors: they stand in classifierState

_SIZES = (18, 34, 50, 101, 152)


def load_model(path: Path, *, jit: bool) -> LoadedModel | DenseModel:
    """Read a model file.

    Parameters
    ----------
    jit
        The file is TorchScript (`jit_load=true`).

    Raises
    ------
    ModelError
        When the file is missing, not a model, needs code to load, or its parts do not fit each other.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: empty file (0 bytes), a model is expected. Copy it again.")
    model = load_script(path) if jit else _load_tensors(path)
    parts: list[nn.Module] = [model.network] if isinstance(model, DenseModel) else [model.encoder, model.classifier]
    for name, tensor in (item for part in parts for item in part.state_dict().items()):
        if not tensor.isfinite().all():
            raise ModelError(f"{path}: {name} holds NaN or infinite weights; its training went wrong. Train it again.")
    return model


def save_model(path: Path, network: Network, data_opts: DataOpts, classes: Mapping[str, int]) -> None:
    """Write `ANIMAL-SPOT.pk` atomically; the original programs can load it. Equal models give equal bytes."""
    with torch_file(path) as file:
        torch.save(
            {
                "encoderOpts": encoder_opts(network.encoder),
                "classifierOpts": classifier_opts(network.classifier),
                "dataOpts": data_opts.as_dict(),
                "encoderState": {key: value.cpu() for key, value in network.encoder.state_dict().items()},
                "classifierState": {key: value.cpu() for key, value in network.classifier.state_dict().items()},
                "classes": dict(classes),
            },
            file,
        )


def save_dense_model(path: Path, network: DenseNetwork, data_opts: DataOpts, classes: Mapping[str, int]) -> None:
    """Write a dense model atomically: the same keys and `architecture`. The original programs cannot load it."""
    state = {key: value.cpu() for key, value in network.state_dict().items()}
    with torch_file(path) as file:
        torch.save(
            {
                "architecture": "dense",
                "encoderOpts": network.opts,
                "classifierOpts": {"num_classes": len(classes)},
                "dataOpts": data_opts.as_dict(),
                "encoderState": {key: value for key, value in state.items() if _HEAD not in key},
                "classifierState": {key: value for key, value in state.items() if _HEAD in key},
                "classes": dict(classes),
            },
            file,
        )


def _load_tensors(path: Path) -> LoadedModel | DenseModel:
    if is_torchscript(path):
        raise ModelError(f"{path}: is a TorchScript file. Set jit_load=true.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols: what cannot be read raises
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "")
        raise ModelError(
            f"{path}: is no plain model file and was not loaded, since loading could run code. {reason.strip()}"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # whatever bytes that are no model make of torch's reader: IndexError, TypeError, …
        raise ModelError(f"{path}: not a model file, or damaged ({first_line(error)}). Copy it again.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a model file (holds a {type(content).__name__}, expected a dict)")
    needed = ("encoderOpts", "classifierOpts", "dataOpts", "encoderState", "classifierState")
    missing = [key for key in needed if not isinstance(content.get(key), Mapping)]
    if missing:
        raise ModelError(f"{path}: not a model file: no {', '.join(missing)}; found: {', '.join(map(str, content))}")
    classes = classes_of(content.get("classes"), path)
    raw = dict(content["dataOpts"])
    opts = data_opts_of(raw, path)
    architecture = content.get("architecture", "resnet")
    if architecture == "dense":
        if opts.background_s is None:
            raise ModelError(f"{path}: dataOpts: a dense network needs normalisation 'background' and background_s")
        return DenseModel(_dense(content, classes, opts, path), opts, raw, classes, sha256_file(path))
    if architecture != "resnet":
        raise ModelError(f"{path}: architecture {architecture!r} is unknown; known: resnet, dense")
    network = _resnet(content, classes, path)
    return LoadedModel(
        network.encoder, network.classifier, network.classifier.pooling, opts, raw, classes, sha256_file(path)
    )


def _dense(content: Mapping[str, Any], classes: Mapping[str, int], opts: DataOpts, path: Path) -> DenseNetwork:
    try:
        network = DenseNetwork(
            **{key: content["encoderOpts"][key] for key in ("members", "channels", "width", "dilations")},
            n_freq_bins=opts.n_freq_bins,
            num_classes=len(classes),
        )
        network.load_state_dict({**content["encoderState"], **content["classifierState"]})
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: encoderOpts of a dense network lack or misspell {error}") from None
    except RuntimeError as error:
        raise ModelError(f"{path}: the tensors do not fit the dense network: {_problem(error)}") from None
    return network.eval()


def _resnet(content: Mapping[str, Any], classes: Mapping[str, int], path: Path) -> Network:
    enc, cls = content["encoderOpts"], content["classifierOpts"]
    try:
        size, max_pool, kernel = int(enc["resnet_size"]), int(enc.get("max_pool", 1)), int(enc["conv_kernel_size"])
        pooling, n_classes = str(cls.get("pooling", "avg")), int(cls["num_classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: encoderOpts or classifierOpts lack or misspell {error}") from None
    if size not in _SIZES or max_pool not in (0, 1, 2) or pooling not in ("avg", "max"):
        raise ModelError(f"{path}: resnet_size {size}, max_pool {max_pool}, pooling {pooling}: unknown to this format")
    if n_classes != len(classes):
        raise ModelError(f"{path}: num_classes is {n_classes}, but the classes are {', '.join(classes)}")
    encoder = Encoder(size, max_pool, kernel, int(enc.get("input_channels", 1)))
    network = Network(encoder, Classifier(encoder.out_channels, n_classes, pooling))
    try:
        network.encoder.load_state_dict(content["encoderState"])
        network.classifier.load_state_dict(content["classifierState"])
    except RuntimeError as error:
        raise ModelError(f"{path}: the tensors do not fit a ResNet-{size}: {_problem(error)}") from None
    return network.eval()


def _problem(error: RuntimeError) -> str:
    return " ".join(str(error).split())[:200]
