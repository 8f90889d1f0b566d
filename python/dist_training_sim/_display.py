"""How objects show themselves: one readable line in a console, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from html import escape
from typing import Any

__all__ = ["ShortRepr", "facts_html", "table_html"]

_LONGEST = 60


def table_html(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a title, for notebooks; the first column is text, the others are figures."""

    def row(tag: str, cells: Sequence[object]) -> str:
        sides = ["left", *("right" for _ in cells[1:])]
        marked = (f'<{tag} style="text-align:{side}">{escape(str(cell))}</{tag}>'
                  for side, cell in zip(sides, cells, strict=True))  # fmt: skip
        return f"<tr>{''.join(marked)}</tr>"

    top = f"<thead>{row('th', head)}</thead>" if any(head) else ""
    body = "".join(row("td", cells) for cells in rows)
    return f"<div><b>{escape(title)}</b><table>{top}<tbody>{body}</tbody></table></div>"


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A table of names and values."""
    return table_html(title, ("", ""), list(facts.items()))


class ShortRepr:
    """A dataclass that prints only what differs from its defaults, so that the line can be read and run."""

    __slots__ = ()

    def _changed(self) -> dict[str, Any]:
        """Fields whose value is not the default."""
        return {f.name: getattr(self, f.name) for f in fields(self)  # type: ignore[arg-type]
                if f.repr and getattr(self, f.name) != _default(f)}  # fmt: skip

    def __repr__(self) -> str:
        shown = (f"{name}={_plain(value)}" for name, value in self._changed().items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        return facts_html(type(self).__name__, {name: _plain(value) for name, value in self._changed().items()})


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: Any) -> str:
    """A value as it may be given: enums by name, long ones cut."""
    text = repr(getattr(value, "value", value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
