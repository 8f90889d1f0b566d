"""Write docs/api/python.md from the package's own docstrings: `python docs/build_api.py` (`--check` only compares)."""

from __future__ import annotations

import enum
import inspect
import sys
from pathlib import Path
from typing import Any

import dist_training_sim as dts
from dist_training_sim import verbs
from dist_training_sim.visualization import Visualizer

TARGET = Path(__file__).parent / "api" / "python.md"
HEAD = """# Python reference

Written by `docs/build_api.py` from the docstrings. Everything here is `dist_training_sim.<name>`; the compiled module
`_core` is private.
"""


def signature(name: str, thing: Any) -> str:
    """`name(...)` as a user would call it, annotations left out."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return name
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in parameters if p.name not in ("self", "cls")]
    return f"{name}{inspect.Signature(shown)}"


def members(thing: type) -> list[str]:
    """One entry per public method and property that the class itself defines."""
    lines = []
    for name, value in vars(thing).items():
        if name.startswith("_"):
            continue
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(function, property) or hasattr(function, "func"):  # cached_property
            lines.append(f"- `{name}`: {first_line(getattr(function, 'func', None) or function)}")
        elif inspect.isfunction(function):
            lines.append(f"- `{signature(name, function)}`: {first_line(function)}")
    return lines


def first_line(thing: Any) -> str:
    """First paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def section(name: str) -> str:
    """Reference of one public name."""
    thing = getattr(dts, name)
    if inspect.ismodule(thing) and callable(thing):  # a package that is a verb
        thing = getattr(verbs, name)
    kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "module"
    parts = [f"## `{name}`", ""]
    if kind == "module":
        public = [getattr(thing, n) for n in thing.__all__]
        functions = [f"- `{signature(f.__name__, f)}`: {first_line(f)}" for f in public if inspect.isfunction(f)]
        return "\n".join([*parts, inspect.getdoc(thing) or "", "", *functions, ""])
    if not (inspect.isclass(thing) and issubclass(thing, (enum.Enum, Exception))):
        parts += ["```python", signature(name, thing), "```", ""]
    parts += ["```text", inspect.getdoc(thing) or "", "```", ""]
    if inspect.isclass(thing) and issubclass(thing, enum.Enum):
        parts += [f"Members: {', '.join(f'`{m.name}`' for m in thing)}", ""]
    elif inspect.isclass(thing):
        parts += [*members(thing), ""]
    return "\n".join(parts)


def figures() -> str:
    """Reference of the drawing board, whose methods come from several classes."""
    parts = ["## `visualization.Visualizer`", "", "```python", signature("Visualizer", Visualizer), "```", ""]
    parts += ["```text", inspect.getdoc(Visualizer) or "", "```", ""]
    for name in dir(Visualizer):
        if not name.startswith("_"):
            method = getattr(Visualizer, name)
            parts += [f"### `Visualizer.{name}`", "", "```python", signature(name, method), "```", ""]
            parts += ["```text", inspect.getdoc(method) or "", "```", ""]
    return "\n".join(parts)


def build() -> str:
    """The whole page."""
    names = [name for name in dts.__all__ if not name.startswith("__")]
    return "\n".join([HEAD, *(section(name) for name in names), figures()]).rstrip() + "\n"


def main() -> int:
    """Write the page, or with `--check` say whether it is current."""
    page = build()
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == page else 1
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
