"""The TorchScript form of a model file, with the extra files that other programs (PAMGuard) read."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hum_shared.errors import ModelError
from hum_shared.files import sha256_file
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_parts import (
    LoadedModel,
    classes_of,
    classifier_opts,
    data_opts_of,
    encoder_opts,
    first_line,
    torch_file,
)
from hum_shared.model.network import Network

_EXTRA_FILES = ("dataOpts", "encoderOpts", "classifierOpts", "transforms", "classes")


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


def load_script(path: Path) -> LoadedModel:
    """Read a TorchScript file; errors as :func:`~hum_shared.model.model_file.load_model`."""
    extra: dict[str, Any] = dict.fromkeys(_EXTRA_FILES, "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            script = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except MemoryError:
        raise
    except Exception as error:  # whatever bytes that are no model make of torch's reader
        raise ModelError(f"{path}: not a TorchScript file ({first_line(error)}). Is jit_load right?") from None
    raw = _literal(extra["dataOpts"], "dataOpts", path)
    classes = classes_of(_literal(extra["classes"], "classes", path) if extra["classes"] else None, path)
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
        data_opts_of(raw, path),
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
