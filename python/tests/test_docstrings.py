"""Every public name has a docstring: names of `__all__`, their public methods and properties."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import dist_training_sim
import pytest


def modules() -> list[str]:
    """Public modules of the package: no part of the name begins with an underscore."""
    found = pkgutil.walk_packages(dist_training_sim.__path__, "dist_training_sim.")
    return ["dist_training_sim", *(m.name for m in found if "._" not in m.name and not m.name.endswith("__main__"))]


def own(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("dist_training_sim.") and "_core" not in value.__module__


def public_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties that a class of this package defines itself."""
    for name, value in vars(cls).items():
        plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        described = inspect.isfunction(plain) or isinstance(plain, property) or hasattr(plain, "attrname")
        if not name.startswith("_") and described:
            yield name, plain


def undocumented(module: str) -> list[str]:
    home = importlib.import_module(module)
    missing = [] if home.__doc__ else [module]
    for name in getattr(home, "__all__", ()):
        value = getattr(home, name)
        if not own(value) or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not inspect.getdoc(value) or (inspect.isclass(value) and not value.__dict__.get("__doc__")):
            missing.append(f"{module}.{name}")
        if inspect.isclass(value):
            missing += [f"{module}.{name}.{member}" for member, item in public_members(value) if not item.__doc__]
    return missing


@pytest.mark.parametrize("module", modules())
def test_every_public_name_is_documented(module: str) -> None:
    assert undocumented(module) == []


@pytest.mark.parametrize("module", modules())
def test_every_module_states_its_public_names(module: str) -> None:
    home = importlib.import_module(module)
    assert isinstance(home.__all__, list)
    assert all(hasattr(home, name) for name in home.__all__)
    assert len(set(home.__all__)) == len(home.__all__)


def automatic(value: type) -> bool:
    """Whether the docstring is the signature that dataclass writes where there is none."""
    return (value.__doc__ or "").startswith(f"{value.__name__}(")


def test_dataclasses_and_enums_are_described_by_hand() -> None:
    for module in modules():
        home = importlib.import_module(module)
        classes = [getattr(home, n) for n in home.__all__ if inspect.isclass(getattr(home, n))]
        assert not [c for c in classes if own(c) and automatic(c)]
        assert not [c for c in classes if own(c) and issubclass(c, Enum) and c.__doc__ == Enum.__doc__]


@pytest.mark.parametrize("name", ["Strategy", "FrameworkProfile", "Device", "Node", "Cluster", "Event"])
def test_every_field_is_explained(name: str) -> None:
    cls = getattr(dist_training_sim, name)
    missing = [f.name for f in dataclasses.fields(cls) if not re.search(rf"\b{f.name}\b", inspect.getdoc(cls) or "")]
    assert set(missing) <= {"name", "label"}
