"""Packages that are verbs as well: `dts.models` holds the building blocks, `dts.models()` lists the catalogue."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["make_callable"]


class _VerbPackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._verb()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._verb())

    def _verb(self) -> Callable[..., Any]:
        parent, _, name = self.__name__.rpartition(".")
        verb: Callable[..., Any] = getattr(import_module(f"{parent}.verbs"), name)
        return verb


def make_callable(package: str) -> None:
    """Let a call of the package run the function of its name in `verbs`.

    The name of a subpackage and that of a function of its parent are one name, so the package itself is called.
    """
    sys.modules[package].__class__ = _VerbPackage
