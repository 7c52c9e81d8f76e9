#!/usr/bin/env bash
# Install the pinned torch and torchaudio into the environment ENV, whose other packages are there already.
# Usage: install-torch.sh ENV       TORCH_INDEX names another package index (CUDA builds, mirrors).
set -euo pipefail
pins=$(dirname "$0")/torch.txt
pip=("$1/bin/python" -m pip --disable-pip-version-check --quiet)
index=(${TORCH_INDEX:+--index-url "$TORCH_INDEX"})

"${pip[@]}" install ${index[@]+"${index[@]}"} "$(grep '^torch==' "$pins")"
"${pip[@]}" install --no-deps ${index[@]+"${index[@]}"} "$(grep '^torchaudio==' "$pins")"
# The published torchaudio wheel brings an extension that needs CUDA and cannot be loaded beside a CPU-only
# torch. Without the files torchaudio does without the extension, and its Python API, all we use, is complete.
"$1/bin/python" - <<'PYTHON'
import importlib.util
import pathlib
import shutil

import torch

if torch.version.cuda is None:
    package = pathlib.Path(importlib.util.find_spec("torchaudio").origin).parent
    shutil.rmtree(package / "lib", ignore_errors=True)
import torchaudio  # noqa: E402, F401 - fails here rather than in a training
PYTHON
