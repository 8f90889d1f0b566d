"""Writing a figure: the format follows from the suffix, and a file is either whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, suggest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]

# Metadata per suffix: no dates, so that equal figures give equal files.
_METADATA: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def _checked(figure: object, path: str | os.PathLike[str]) -> Path:
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise ConfigError(f"fig: got {type(figure).__name__}, expected a matplotlib Figure")
    target = Path(path)
    if target.suffix.lower() not in _METADATA:
        known = ", ".join(_METADATA)
        raise ConfigError(f"path: got suffix {target.suffix!r}, expected one of {known}; "
                          f"{suggest(target.suffix, _METADATA)}")
    if not target.parent.is_dir():
        raise ConfigError(f"path: got {str(target)!r}, expected a file in an existing folder; create {target.parent}")
    return target


def save_figure(fig: Figure, path: str | os.PathLike[str]) -> Path:
    """Write `fig` to `path`; see `Visualizer.save_figure`."""
    target = _checked(fig, path)
    from matplotlib import rc_context

    suffix = target.suffix.lower()
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=suffix, dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        with rc_context({"svg.hashsalt": "dist_training_sim"}):
            fig.savefig(draft, format=suffix[1:], metadata=_METADATA[suffix])
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target
