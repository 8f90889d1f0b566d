#!/usr/bin/env bash
# An sdist is made and checked; where only its build tools and dependencies are, and no network, it installs and works.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
python=$work/venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1
# What stands in pyproject.toml: tools of the build, then what the package imports.
"$python" -m pip install --quiet build scikit-build-core pybind11 cmake ninja
"$python" -m build --quiet --sdist --no-isolation --outdir "$work/dist"
"$python" .ci/check_wheel.py "$work"/dist/*.tar.gz
mapfile -t needed < <(sed -n '/^dependencies = \[/,/^\]/s/^ *"\(.*\)",$/\1/p' pyproject.toml)
"$python" -m pip install --quiet "${needed[@]}"

# Without a network by the kernel where that is allowed, else by pip alone.
offline=()
if unshare --net true 2>/dev/null; then offline=(unshare --net); fi
PATH=$work/venv/bin:$PATH "${offline[@]}" "$python" -m pip wheel --quiet --no-index --no-build-isolation --no-deps \
  --wheel-dir "$work/dist" "$work"/dist/*.tar.gz
"$python" .ci/check_wheel.py "$work"/dist/*.whl
"${offline[@]}" "$python" -m pip install --quiet --no-index "$work"/dist/*.whl
cd "$work"
"${offline[@]}" venv/bin/dts simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 1024
echo "the sdist installs and works${offline[*]:+ without a network}"
