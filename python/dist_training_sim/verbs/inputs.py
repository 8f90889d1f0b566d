"""Names and paths to objects, and the problems of several inputs in one error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._files import is_file
from ..errors import ConfigError, DtsError, MissingDataError, shown
from ..hardware import Cluster
from ..models import Model

__all__ = ["capacity_bytes", "cluster_of", "gather", "is_path", "model_of"]

MODEL_SUFFIXES, CLUSTER_SUFFIXES = (".json",), (".yaml", ".yml")


def model_of(text: str) -> Model:
    """Model of the catalogue, or of a Hugging Face config: a `config.json` or the folder that holds it.

    Raises
    ------
    ConfigError
        If it is no name of the catalogue (the nearest are suggested), or the config is not legal.
    MissingDataError
        If it looks like a path and there is no such file.
    FormatError
        If the file is no Hugging Face config.
    """
    return Model.from_hf(text) if is_path(text, MODEL_SUFFIXES) else Model.from_catalog(text)


def cluster_of(text: str) -> Cluster:
    """Cluster of the catalogue (`"64xdgx-h100"`), or of a YAML file.

    Raises
    ------
    ConfigError
        If it is no name of the catalogue (the nearest are suggested), or the file describes no legal cluster.
    MissingDataError
        If it looks like a path and there is no such file.
    FormatError
        If the file is no YAML.
    """
    if not is_path(text, CLUSTER_SUFFIXES):
        return Cluster.from_catalog(text)
    if not is_file(text):
        raise MissingDataError(f"cluster: got {shown(text)}, expected a YAML file as in docs/guide/hardware.md")
    return Cluster.from_yaml(text)


def capacity_bytes(cluster: Cluster) -> float:
    """Memory of a device, the smallest of those that are known."""
    return min((node.device.hbm_bytes for node in cluster.node_kinds if node.device.hbm_bytes), default=0.0)


def is_path(text: str, suffixes: tuple[str, ...]) -> bool:
    """Whether the text is meant as a path: by its suffix, a separator in it, or a leading dot."""
    if not isinstance(text, str):
        raise ConfigError(f"got a {type(text).__name__}, expected the text of a name or a path")
    return text.lower().endswith(suffixes) or "/" in text or "\\" in text or text.startswith(".")


def gather(*steps: Callable[[], Any]) -> list[Any]:
    """Results of all steps; if some fail, one error with the problems of each.

    Raises
    ------
    DtsError
        Of the class of the failures; `ConfigError` where they differ.
    """
    results: list[Any] = []
    errors: list[DtsError] = []
    for step in steps:
        try:
            results.append(step())
        except DtsError as error:
            errors.append(error)
    if errors:
        classes = {type(error) for error in errors}
        kind = classes.pop() if len(classes) == 1 else ConfigError
        raise kind("\n".join(str(error) for error in errors))
    return results
