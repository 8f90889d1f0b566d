"""The job file of this package: one YAML with model, cluster, strategy, settings of verbs, and named runs.

`job.schema.json`, beside this module, describes it; it is made from the options of the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from .._files import exists
from ..errors import ConfigError, DtsError, Problems, suggest
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from .located import compose, value_of
from .options import Option
from .schema_check import check_schema
from .training_job import TrainingJob

__all__ = ["JOB_KEYS", "JOB_VERSION", "job_schema", "read_job_file"]

JOB_KEYS = ("model", "cluster", "seq_len", "framework", "strategy")
JOB_VERSION = 1


@cache
def job_schema() -> Mapping[str, Any]:
    """JSON Schema of a job file."""
    text = resources.files(__package__).joinpath("job.schema.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def read_job_file(text: str, where: str, *, run: str | None = None, folder: Path | None = None) -> TrainingJob:
    """Job of a job file; of a newer version's, the keys that this one knows.

    Parameters
    ----------
    run
        One of the file's `runs`: its keys replace those of the file.
    folder
        Where paths in the file start.

    Raises
    ------
    ConfigError
        Listing everything that is not legal, each with file, line, key, what was given and what is expected.
    """
    node, problems = compose(text, where), Problems()
    places: dict[str, int] = {}
    if node is None:
        raise ConfigError(f"{where}: got nothing, expected a mapping of {', '.join(JOB_KEYS)}")
    given: Any = value_of(node)
    version = given.get("version", JOB_VERSION) if isinstance(given, dict) else JOB_VERSION
    newer = type(version) is int and version > JOB_VERSION
    unknown: list[Option] = []
    check_schema(node, job_schema(), where, problems, places, unknown if newer else None)
    problems.raise_if_any()
    content: dict[str, Any] = value_of(node)
    content.pop("version", None)
    runs = content.pop("runs", {})
    if run is not None:
        if run not in runs:
            raise ConfigError(f"{where}: run: got {run!r}, expected one of its runs; {suggest(run, runs)}")
        content = _merged(content, runs[run])
        places = places | {k.removeprefix(f"runs.{run}."): v for k, v in places.items() if k.startswith(f"runs.{run}.")}
    built = _Builder(where, places, folder or Path()).build(content)
    settings = {name: section for name, section in content.items() if name not in JOB_KEYS}
    note = f"{where}: got version {version} of job files, read as version {JOB_VERSION}: newer keys are unknown"
    notes = (note,) if newer else ()
    return TrainingJob(format="dts", settings=settings, runs=tuple(runs), unknown=tuple(unknown), notes=notes, **built)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings joined key by key; strategies and settings of verbs are joined, descriptions replaced."""
    joined = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(joined.get(key), Mapping) and key not in ("model", "cluster")
        joined[key] = {**joined[key], **value} if both else value
    return joined


class _Builder:
    """Objects of a checked file; their own problems get the line of the key."""

    def __init__(self, where: str, places: Mapping[str, int], folder: Path) -> None:
        self.where, self.places, self.folder = where, places, folder
        self.lines: list[str] = []

    def build(self, content: Mapping[str, Any]) -> dict[str, Any]:
        built = {
            "model": self.part("model", lambda: self.model(content.get("model"))),
            "cluster": self.part("cluster", lambda: self.cluster(content.get("cluster"))),
            "strategy": self.part("strategy", lambda: Strategy(**(content.get("strategy") or {}))),
            "seq_len": content.get("seq_len"),
            "framework": content.get("framework") or "megatron-core",
        }
        if self.lines:
            raise ConfigError("\n".join(self.lines))
        return built

    def part(self, key: str, make: Any) -> Any:
        """What `make` gives; its problems are recorded with the line of the key they name."""
        try:
            return make()
        except DtsError as error:
            for line in str(error).splitlines():
                name = line.split(":")[0]
                place = self.places.get(name, self.places.get(key, 1))
                self.lines.append(f"{self.where}:{place}: {line}")
        return None

    def model(self, value: Any) -> Model | None:
        if value is None or isinstance(value, Mapping):
            return None if value is None else Model.from_hf(value)
        path = self._path(value, (".json",))
        return Model.from_catalog(value) if path is None else Model.from_hf(path)

    def cluster(self, value: Any) -> Cluster | None:
        if value is None:
            return None
        if isinstance(value, Mapping):
            from ..catalog.cluster_file import cluster_of_content

            return cluster_of_content(value if "cluster" in value else {"cluster": value}, "cluster")
        path = self._path(value, (".yaml", ".yml"))
        return Cluster.from_catalog(value) if path is None else Cluster.from_yaml(path)

    def _path(self, text: str, suffixes: tuple[str, ...]) -> Path | None:
        """The path that a text means, from the folder of the job file; None of a name."""
        if not (text.lower().endswith(suffixes) or "/" in text or "\\" in text or text.startswith(".")):
            return None
        beside = self.folder / text
        return beside if exists(beside) else Path(text)
