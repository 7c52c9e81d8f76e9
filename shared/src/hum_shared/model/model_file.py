"""The model file `ANIMAL-SPOT.pk` and its TorchScript form: read, check, write."""

from __future__ import annotations

import ast
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pydantic import ValidationError
from torch import nn

from hum_shared.errors import ModelError
from hum_shared.files import atomic_path, sha256_file
from hum_shared.model.front_end import DataOpts
from hum_shared.model.network import Classifier, Encoder, Network

OLD_CLASSES = {"noise": 0, "target": 1}
"""What files mean that carry no classes."""

_SIZES = (18, 34, 50, 101, 152)
_EXTRA_FILES = ("dataOpts", "encoderOpts", "classifierOpts", "transforms", "classes")


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


def load_model(path: Path, *, jit: bool) -> LoadedModel:
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
    model = _load_script(path) if jit else _load_tensors(path)
    for name, tensor in [*model.encoder.state_dict().items(), *model.classifier.state_dict().items()]:
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


def save_script(
    path: Path, network: Network, data_opts: DataOpts, classes: Mapping[str, int], example: torch.Tensor
) -> None:
    """Write the TorchScript form atomically, with the extra files that other programs (PAMGuard) read.

    Parameters
    ----------
    example
        Network input (1, 1, T, F) to trace with.
    """
    extra = {
        "dataOpts": repr(data_opts.as_dict()),
        "encoderOpts": repr(encoder_opts(network.encoder)),
        "classifierOpts": repr(classifier_opts(network.classifier)),
        "transforms": repr(transforms_text(data_opts, classes)),
        "classes": repr(dict(classes)),
    }
    network = network.cpu().eval()
    with torch.no_grad(), warnings.catch_warnings(), torch_file(path) as file:
        # TorchScript is deprecated in torch but is what the format prescribes.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, file, _extra_files=extra)


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


def transforms_text(opts: DataOpts, classes: Mapping[str, int]) -> dict[str, str]:
    """Return what PAMGuard reads: eight values in brace text without quotes."""
    names = sorted(classes, key=lambda name: classes[name])
    levels = ("None", "None") if opts.min_max_norm else (f"{opts.min_level_db:g}", f"{opts.ref_level_db:g}")
    return {
        "load_audio": f"{{sr: {opts.sr}, mono : True}}",
        "pre_emph": f"{{pre_empf_factor : {opts.preemphases}}}",
        "spectrogram": f"{{fft : {opts.n_fft}, hop : {opts.hop_length}, center : False}}",
        "freq_compression": (
            f"{{type : {opts.freq_compression}, bins : {opts.n_freq_bins}, fmin : {opts.fmin:g}, fmax : {opts.fmax:g}}}"
        ),
        "amplitude_to_decibel": f"{{min_db : {opts.min_level_db:g}}}",
        "normalize": f"{{min_max : {bool(opts.min_max_norm)}, min_db : {levels[0]}, ref_db : {levels[1]}}}",
        "class_info": f"{{num_class : {len(names)}, name_class : {names}}}".replace("'", ""),
        "seg_size": f"{{size_ms : {opts.sequence_len_ms:g}}}" if opts.sequence_len_ms else "{size_ms : None}",
    }


def _load_tensors(path: Path) -> LoadedModel:
    if _is_script(path):
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
        raise ModelError(f"{path}: not a model file, or damaged ({_reason(error)}). Copy it again.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a model file (holds a {type(content).__name__}, expected a dict)")
    needed = ("encoderOpts", "classifierOpts", "dataOpts", "encoderState", "classifierState")
    missing = [key for key in needed if not isinstance(content.get(key), Mapping)]
    if missing:
        raise ModelError(f"{path}: not a model file: no {', '.join(missing)}; found: {', '.join(map(str, content))}")
    classes = _classes(content.get("classes"), path)
    network = _network(content, classes, path)
    raw = dict(content["dataOpts"])
    return LoadedModel(
        network.encoder,
        network.classifier,
        network.classifier.pooling,
        _data_opts(raw, path),
        raw,
        classes,
        sha256_file(path),
    )


def _network(content: Mapping[str, Any], classes: Mapping[str, int], path: Path) -> Network:
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
        problem = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the tensors do not fit a ResNet-{size}: {problem}") from None
    return network.eval()


def _load_script(path: Path) -> LoadedModel:
    extra: dict[str, Any] = dict.fromkeys(_EXTRA_FILES, "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            script = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ModelError(f"{path}: not a TorchScript file ({_reason(error)}). Is jit_load right?") from None
    raw = _literal(extra["dataOpts"], "dataOpts", path)
    classes = _classes(_literal(extra["classes"], "classes", path) if extra["classes"] else None, path)
    opts = _literal(extra["classifierOpts"], "classifierOpts", path) if extra["classifierOpts"] else {}
    parts = dict(script.named_children())
    # Numbers are the names of a traced nn.Sequential.
    encoder, classifier = parts.get("encoder", parts.get("0")), parts.get("classifier", parts.get("1"))
    if encoder is None or classifier is None:
        found = ", ".join(parts) or "none"
        raise ModelError(f"{path}: TorchScript without the two parts encoder and classifier; its parts: {found}")
    return LoadedModel(
        encoder,
        classifier,
        str(opts.get("pooling", "avg")),
        _data_opts(raw, path),
        raw,
        classes,
        sha256_file(path),
    )


def _literal(text: Any, name: str, path: Path) -> dict[str, Any]:
    source = text.decode() if isinstance(text, bytes) else str(text)
    try:
        value = ast.literal_eval(source)
    except (ValueError, SyntaxError):
        raise ModelError(f"{path}: extra file {name} is not a Python literal: {source[:80]!r}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: extra file {name} is not a dict: {source[:80]!r}")
    return value


def _classes(value: Any, path: Path) -> dict[str, int]:
    if value is None:
        return dict(OLD_CLASSES)
    if not isinstance(value, Mapping) or sorted(value.values()) != list(range(len(value))) or len(value) < 2:
        raise ModelError(f"{path}: classes {value!r} do not number two or more classes from 0")
    return {str(name): int(index) for name, index in value.items()}


def _data_opts(raw: Mapping[str, Any], path: Path) -> DataOpts:
    try:
        return DataOpts.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = "".join(f"{part}: " for part in first["loc"])
        raise ModelError(f"{path}: dataOpts: {key}{first['msg'].removeprefix('Value error, ')}") from None


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _reason(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0]
    return line.partition(". This is an internal miniz error")[0][:200] or type(error).__name__
