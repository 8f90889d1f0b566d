#!/usr/bin/env bash
# The ledger of saved tensors against real PyTorch. Needs a CPU build of it (190 MB) from the package index in use, or from
# one that PIP_EXTRA_INDEX_URL names; where none can be had, says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
if ! "$python" -c "import torch" 2>/dev/null &&
  ! timeout 600 "$python" -m pip install -q --only-binary :all: 'torch==2.13.0+cpu'; then
  echo "no CPU build of PyTorch can be had here: python/tests/test_torch_saved_tensors.py stays skipped"
  exit 0
fi
"$python" -m pytest python/tests/test_torch_saved_tensors.py
