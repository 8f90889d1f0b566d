"""In-tree build backend that forwards every hook to the project in the parent folder (one source of metadata)."""

from __future__ import annotations

import os
from pathlib import Path

os.chdir(Path(__file__).resolve().parent.parent)

from scikit_build_core.build import *  # noqa: E402, F403
