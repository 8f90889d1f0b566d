"""The model of the catalogue that a repository, folder or tokenizer is named after."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..errors import DtsError

if TYPE_CHECKING:
    from ..catalog.models import ModelEntry

__all__ = ["entry_named_after"]

_SUFFIX = re.compile(r"[-_](instruct|it|base|chat|hf|sft|preview)(-\d+)?$", re.IGNORECASE)


def entry_named_after(name: str) -> ModelEntry | None:
    """Entry of a name such as `meta-llama/Llama-3.1-8B-Instruct`; None where there is none."""
    from ..catalog.models import entry

    last = PurePosixPath(name.rstrip("/")).name[:200]
    short = _SUFFIX.sub("", re.sub(r"^Meta-", "", last))
    for candidate in (last, short, _SUFFIX.sub("", short)):
        try:
            return entry(candidate) if candidate else None
        except DtsError:
            continue
    return None
