"""`dts schema`: the JSON Schema of job files; made here from the options of the verbs."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from ..parallel import OffloadModule, OffloadTier, RecomputeModule, Strategy
from .deliver import Out, deliver
from .job_options import VALUES, option_names
from .outcome import ExitCode, write_file

__all__ = ["EXAMPLES", "made_schema", "schema"]

EXAMPLES = """\b
Examples:
  dts schema --out dts-job.schema.json

An editor with YAML support completes and checks a job file whose first line is
  # yaml-language-server: $schema=dts-job.schema.json
"""
LAYOUT = tuple(f.name for f in fields(Strategy))
_DEGREES = frozenset(
    ("dp", "tp", "pp", "vpp", "cp", "cp_a2a", "ep", "etp", "micro_batch", "global_batch", "dp_replicas")
)
_STATES = ("offload_optimizer", "offload_parameters")
_KINDS: dict[object, str] = {int: "integer", float: "number", bool: "boolean", str: "string", Path: "string"}
_NATIVE: dict[str, dict[str, Any]] = {  # fields that a file holds as data, and an option as text
    "layers_per_stage": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "recompute_modules": {"type": "array", "items": {"type": "string", "enum": [m.value for m in RecomputeModule]}},
    "offload_modules": {"type": "array", "items": {"type": "string", "enum": [m.value for m in OffloadModule]}},
    **{
        name: {"type": ["string", "boolean"], "enum": [*(t.value for t in OffloadTier), True, False]}
        for name in _STATES
    },
    "custom_order": {"type": "array", "items": {"type": "string"}},
    "reshard_after_forward": {"type": ["boolean", "integer", "null"], "minimum": 0},
    "expert_load": {"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array", "items": {"type": "number"}}]},
}
_OWN: dict[str, dict[str, Any]] = {  # a file may hold the number itself
    name: {"type": ["number", "string", "null"]}
    for name in ("tokens", "checkpoint_interval", "checkpoint_time", "restart_time")
}
_SEVERAL: dict[str, Any] = {
    "type": ["array", "string", "number", "null"],
    "items": {"type": ["string", "number"]},
}


def schema(out: Out = None) -> ExitCode:
    """Print the JSON Schema of job files, for editors."""
    from ..io.job_file import job_schema

    deliver(job_schema(), (), as_json=out is None, out=out)
    return ExitCode.OK


def made_schema() -> dict[str, Any]:
    """The schema as the options of the verbs have it; the packaged file is this, and a test holds them together."""
    from . import app, simulate
    from .job_options import VERBS

    assert app.app is not None  # the verbs enter the table as the command is put together
    sections = {name: _section(option_names(verb)) for name, verb in VERBS.items()}
    properties = {**_job(option_names(simulate.simulate)), **sections}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dts job",
        "description": "A training job: model, cluster, strategy, settings of the verbs, named runs.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "version": {"description": "Of this format; 1 if not given.", "type": "integer", "minimum": 1},
            **properties,
            "runs": {
                "description": "Variants by name, chosen with --run: their keys replace those of the file.",
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": False, "properties": properties},
            },
        },
    }


def _job(options: Mapping[str, Any]) -> dict[str, Any]:
    from ..catalog import frameworks

    return {
        "model": {
            "description": "Catalogue name, path of a Hugging Face config.json, or its content.",
            "type": ["string", "object"],
        },
        "cluster": {
            "description": "Catalogue node with a count (64xdgx-h100), path of a cluster file, or its content.",
            "type": ["string", "object"],
        },
        "seq_len": {"description": _help(options["seq_len"]), "type": ["integer", "null"], "minimum": 1},
        "framework": {"description": _help(options["framework"]), "type": "string", "enum": frameworks.names()},
        "strategy": {
            "description": "Layout: every field of Strategy.",
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _field(name, options[name]) for name in LAYOUT},
        },
    }


def _field(name: str, option: Any) -> dict[str, Any]:
    """One field of the layout, with the values that its enum knows."""
    described = {"description": _help(option)}
    if name in _NATIVE:
        return described | _NATIVE[name]
    kind = get_type_hints(Strategy)[name]
    listed = next((part for part in get_args(kind) if isinstance(part, type) and issubclass(part, Enum)), None)
    if listed is not None:
        return described | {"type": "string", "enum": [member.value for member in listed]}
    bounds: dict[str, Any] = {"minimum": 1 if name in _DEGREES else 0} if int in (kind, *get_args(kind)) else {}
    bounds |= {"maximum": 3} if name == "zero" else {"minimum": 0} if kind is float else {}
    return described | _kind(kind) | bounds


def _section(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a verb: its options beside those of the job and the layout."""
    from ..io.job_file import JOB_KEYS

    own = {n: o for n, o in options.items() if _holds_values(o) or (n not in JOB_KEYS and n not in LAYOUT)}
    return {
        "description": "Settings of the verb.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {
                "description": _help(option),
                **(_SEVERAL if _holds_values(option) else _kind(option) | _OWN.get(name, {})),
            }
            for name, option in own.items()
        },
    }


def _holds_values(option: Any) -> bool:
    """Whether an option holds one value or several."""
    return any(getattr(part, "metavar", None) == VALUES for part in getattr(option, "__metadata__", ()))


def _help(option: Any) -> str:
    info = next((part for part in getattr(option, "__metadata__", ()) if hasattr(part, "help")), None)
    return "" if info is None else str(info.help)


def _kind(option: Any) -> dict[str, Any]:
    """JSON type of an annotation."""
    if get_origin(option) is Annotated:
        option = get_args(option)[0]
    if get_origin(option) in (Union, types.UnionType):
        parts = [_kind(part) for part in get_args(option)]
        names = [part["type"] for part in parts]
        items = {key: value for part in parts for key, value in part.items() if key == "items"}
        return {"type": names[0] if len(names) == 1 else names, **items}
    if get_origin(option) is list:
        return {"type": "array", "items": _kind(get_args(option)[0])}
    return {"type": "null" if option is type(None) else _KINDS[option]}


def write_schema(path: Path) -> None:
    """Write the packaged file anew."""
    import json

    write_file(path, json.dumps(made_schema(), indent=1) + "\n")
