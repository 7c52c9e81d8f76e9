#!/usr/bin/env bash
# Make the hashed locks from the packages' own dependencies; arguments go to uv (for example: --upgrade).
# The images' locks take their versions from dev.txt, so that what is tested is what runs.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # NAME [uv options]
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --override requirements/override.txt --no-emit-package torch --no-emit-package torchaudio \
        "${ours[@]}" "${@:2}" -o "requirements/$1.txt" "requirements/$1.in"
}

ours=()
for package in shared trainer predictor evaluator rf-filter slurm; do
    ours+=(--no-emit-package "hum-$package")
done
compile dev "$@"
# A CUDA build of torch brings libraries of its own: those of the build that uv's default index has.
.venv/bin/uv pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.11 --generate-hashes \
    --no-header --constraints requirements/dev.txt "$@" -o requirements/torch-cuda.txt requirements/torch.txt
for name in shared trainer predictor evaluator rf_filter slurm test test_shared test_evaluator; do
    compile "$name" --constraints requirements/dev.txt "$@"
done
