#!/usr/bin/env bash
# Create .venv at the project's root with everything in it; quick when it is already so.
# PYTHON names the interpreter; TORCH_INDEX another package index for torch (CUDA builds, mirrors).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
packages=(shared services/*/ slurm)
wanted="$PWD $(cat requirements/setup.sh requirements/{torch,dev}.txt shared/pyproject.toml services/*/pyproject.toml \
    slurm/pyproject.toml | cksum) ${TORCH_INDEX:-}"
if [[ -x .venv/bin/python && $(cat .venv/set-up 2>/dev/null) == "$wanted" ]]; then
    exit 0
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $python is not Python 3.11 or later. Name one: make setup PYTHON=/path/to/python3.12" >&2
    exit 2
fi

echo "setting up .venv (some minutes the first time)"
rm -f .venv/set-up
# Scripts in an environment hold its absolute path: one that came along with a moved folder is made anew.
[[ -x .venv/bin/pip ]] && .venv/bin/pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --require-hashes --no-deps -r requirements/dev.txt
requirements/install-torch.sh .venv
editable=()
for package in "${packages[@]}"; do
    editable+=(--editable "./$package")
done
"${pip[@]}" install --no-deps --no-build-isolation "${editable[@]}"
echo "$wanted" >.venv/set-up
