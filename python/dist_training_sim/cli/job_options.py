"""A job from a file for verbs that take one: its values stand where no option is given on the command line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.models import ArgumentInfo

from ..errors import ConfigError, Problems
from ..parallel.strategy import Strategy
from ..verbs import cluster_of
from .outcome import ExitCode, warn

if TYPE_CHECKING:
    from ..io.training_job import TrainingJob

__all__ = [
    "FROM_FILE",
    "VALUES",
    "VERBS",
    "job_of_file",
    "option_names",
    "read_variables",
    "report",
    "values_of",
    "with_job_file",
]

_JOB = Annotated[
    Path | None,
    typer.Argument(metavar="JOB", help="Job file (YAML), or a script or configuration of a framework."),
]
_RUN = Annotated[str | None, typer.Option(metavar="NAME", help="Run of the job file.")]
_SET = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Environment variable that a script expects; may be repeated."),
]
FROM_FILE = ("job", "run", "set_variables")
VERBS: dict[str, Callable[..., ExitCode]] = {}  # those that take a job file: each has its section there
VALUES = "VALUES"  # metavar of options that hold one value or several; in a file a list
_NAMES = {"as_json": "json"}  # parameters whose option is called otherwise
_LAYOUT = "layout"  # parameter of a verb that takes the file's strategy whole, and searches around it
_GIVEN = "given"  # parameter of a verb that asks which options the command line gives


def with_job_file(verb: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """The verb with a job file as its first argument; options on the command line win over the file's values."""
    VERBS[verb.__name__] = verb
    hints = inspect.get_annotations(verb, eval_str=True)
    own = [
        p.replace(annotation=hints.get(name, p.annotation))
        for name, p in inspect.signature(verb).parameters.items()
        if name not in (_LAYOUT, _GIVEN)
    ]
    searches, asks = (name in inspect.signature(verb).parameters for name in (_LAYOUT, _GIVEN))
    kinds = {"job": (_JOB, None), "run": (_RUN, None), "set_variables": (_SET, None)}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in kinds.items()
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    own = [p.replace(kind=keyword) for p in own]

    @functools.wraps(verb)
    def command(
        *, context: typer.Context, job: Path | None, run: str | None, set_variables: list[str] | None, **options: Any
    ) -> ExitCode:
        given = frozenset(name for name in options if _is_given(context, name))
        options |= {_GIVEN: given} if asks else {}
        if job is None:
            _refuse_alone(run, set_variables)
            return verb(**options)
        found = job_of_file(job, options.get("cluster"), run, set_variables)
        report(found)
        of_file = _values(found, verb.__name__, {p.name for p in own if _is_path(p.annotation)}, searches=searches)
        chosen = {n: v for n, v in of_file.items() if n in options and n not in given}
        return verb(**options | chosen | ({_LAYOUT: found.strategy} if searches else {}))

    first = [p for p in own if _is_argument(p.annotation)]
    rest = [p for p in own if p not in first]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *first, added[0], *rest, *added[1:]], return_annotation=ExitCode
    )
    command.__annotations__ = {p.name: p.annotation for p in (context, *added, *own)} | {"return": ExitCode}
    return command


def _is_argument(annotation: Any) -> bool:
    """Whether a parameter stands without a name on the command line."""
    return any(isinstance(part, ArgumentInfo) for part in getattr(annotation, "__metadata__", ()))


def _refuse_alone(run: str | None, variables: list[str] | None) -> None:
    problems = Problems()
    for name, value in (("--run", run), ("--set", variables)):
        if value:
            problems.add(name, value, "a job file beside it")
    problems.raise_if_any()


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether the command line gives an option itself."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def job_of_file(path: Path, cluster: object, run: str | None, variables: list[str] | None) -> TrainingJob:
    """Job of a file; a cluster given beside it says how many devices it has."""
    from ..io.jobs import read_job

    devices = cluster_of(cluster).device_count if isinstance(cluster, str) else None
    return read_job(path, run=run, variables=read_variables(variables or []), devices=devices)


def read_variables(texts: list[str]) -> dict[str, str]:
    """`["TP=8"]` as a mapping.

    Raises
    ------
    ConfigError
        If a text has no `=`.
    """
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not equals or not name.isidentifier():
            raise ConfigError(f"--set: got {text!r}, expected NAME=VALUE such as TP=8")
    return {name: value for name, _, value in pairs}


def report(job: TrainingJob) -> None:
    """Warn of what the file says and the job does not hold."""
    for option in job.unknown:
        warn(option.complaint)
    for text in (*job.conflicts, *job.notes):
        warn(text)


def _values(job: TrainingJob, verb: str, paths: set[str], *, searches: bool) -> dict[str, Any]:
    """Values of a verb's parameters by name; what the file does not say is left out.

    A verb that searches layouts keeps what the strategy trains, its batch and precision, and not how.
    """
    kept = ("global_batch", "precision") if searches else tuple(f.name for f in fields(Strategy))
    layout = {name: getattr(job.strategy, name) for name in kept}
    stated = {"model": job.model, "cluster": job.cluster, "seq_len": job.seq_len, "framework": job.framework}
    settings = job.settings.get(verb) or {}
    renamed = {option: name for name, option in _NAMES.items()}
    own = {renamed.get(key, key): value for key, value in settings.items()}
    own |= {name: Path(own[name]) for name in paths & own.keys() if isinstance(own[name], str)}
    tokens = {"tokens": job.train_tokens} if verb == "cost" and "loss" not in own else {}
    return {n: v for n, v in {**layout, **stated, **tokens, **own}.items() if v is not None}


def _is_path(annotation: Any) -> bool:
    """Whether an option names a file."""
    kind = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    return kind is Path or Path in get_args(kind)


def values_of(value: object) -> list[Any]:
    """Values of an option that holds one or several: `"1,2,4"` of a command line, numbers or a list of a file."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def option_names(verb: Callable[..., ExitCode]) -> Mapping[str, Any]:
    """Annotations of a verb's own parameters, by the name that a job file uses."""
    hints = inspect.get_annotations(verb, eval_str=True)
    options = {
        _NAMES.get(name, name): hints.get(name, p.annotation)
        for name, p in inspect.signature(verb).parameters.items()
        if name not in (_LAYOUT, _GIVEN)
    }
    return {name: annotation for name, annotation in options.items() if not _is_argument(annotation)}
