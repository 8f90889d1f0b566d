"""A document against a JSON Schema, problem by problem with its line: the part of the standard that our schema uses."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import Problems
from .located import value_of
from .options import Option

__all__ = ["check_schema"]

_KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
Schema = Mapping[str, Any]


def check_schema(
    node: Any,
    schema: Schema,
    where: str,
    problems: Problems,
    places: dict[str, int],
    unknown: list[Option] | None = None,
) -> None:
    """Record every way in which a document breaks its schema.

    Parameters
    ----------
    node
        A node of the YAML parser.
    where
        Name of the file.
    places
        Filled with the line of every key, by dotted name.
    unknown
        Takes keys that the schema does not have, which are cut from the document; without it they are problems.
    """
    _Checker(schema, where, problems, places, unknown).check(node, schema, "")


class _Checker:
    def __init__(
        self, root: Schema, where: str, problems: Problems, places: dict[str, int], unknown: list[Option] | None
    ) -> None:
        self.root, self.where, self.problems, self.places, self.unknown = root, where, problems, places, unknown

    def check(self, node: Any, schema: Schema, name: str) -> None:
        import yaml

        schema = self._resolved(schema)
        value = value_of(node)
        if not _fits(value, schema, self._resolved):
            self._reject(node, schema, name, value)
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, self._branch(schema, dict), name)
        elif isinstance(node, yaml.SequenceNode):
            items = self._branch(schema, list).get("items", {})
            for i, item in enumerate(node.value):
                self.check(item, items, f"{name}[{i}]")

    def _mapping(self, node: Any, schema: Schema, name: str) -> None:
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for key, value in list(node.value):
            inner = f"{name}.{key.value}" if name else str(key.value)
            self.places[inner] = key.start_mark.line + 1
            if str(key.value) in known:
                self.check(value, known[str(key.value)], inner)
            elif isinstance(others, Mapping):
                self.check(value, others, inner)
            elif not others and self.unknown is not None:
                self.unknown.append(Option(inner, (), f"{self.where}:{self.places[inner]}"))
                node.value.remove((key, value))
            elif not others:
                near = difflib.get_close_matches(str(key.value), known, n=2, cutoff=0.6)
                mend = f"did you mean {' or '.join(near)}?" if near else ""
                listed = ", ".join(sorted(known)[:8]) + (" ..." if len(known) > 8 else "")
                place = f"{self.where}:{self.places[inner]}" + (f": {name}" if name else "")
                self.problems.add(place, str(key.value), f"a known key: {listed}", mend)

    def _reject(self, node: Any, schema: Schema, name: str, value: object) -> None:
        line = self.places.get(name, node.start_mark.line + 1)
        shown = value if not isinstance(value, (dict, list)) else type(value).__name__
        self.problems.add(f"{self.where}:{line}: {name or 'document'}", shown, _expected(schema))

    def _branch(self, schema: Schema, kind: type) -> Schema:
        """The alternative that describes mappings, or lists."""
        name = "object" if kind is dict else "array"
        choices = [self._resolved(choice) for choice in schema.get("anyOf", (schema,))]
        return next((choice for choice in choices if name in _types(choice)), {})

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        found: Any = self.root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part] if part != "#" else found
        return found  # type: ignore[no-any-return]


def _types(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type", tuple(_KINDS))
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _fits(value: object, schema: Schema, resolved: Any) -> bool:
    """Whether a value is of a legal type, among the listed values and within bounds; what it holds is checked apart."""
    if "anyOf" in schema:
        return any(_fits(value, resolved(choice), resolved) for choice in schema["anyOf"])
    kinds = [kind for name in _types(schema) for kind in _KINDS[name]]
    if not any(type(value) is kind for kind in kinds):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def _expected(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_expected(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join('null' if v is None else str(v) for v in schema['enum'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" from {low:g} to {high:g}" if high is not None else f" >= {low:g}" if low is not None else ""
    named = {"integer": "a whole number", "number": "a number", "string": "a text", "boolean": "true or false",
             "array": "a list", "object": "a mapping", "null": "null"}  # fmt: skip
    return " or ".join(named[kind] + (bounds if kind in ("integer", "number") else "") for kind in _types(schema))
