"""The job of a command line: what its options name or a job file gave, and where the answer goes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .. import _core
from .._convert import to_core
from ..errors import ConfigError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..parallel.choices import Precision
from ..simulator.job import checked_seq_len
from ..verbs import cluster_of, gather, model_of

__all__ = ["AskedJob", "read_job", "stated", "take_job"]


@dataclass(frozen=True)
class AskedJob:
    """A job that options describe.

    Attributes
    ----------
    model, cluster, strategy, profile, seq_len
        What is simulated.
    as_json, out
        How the answer is delivered.
    """

    model: Model
    cluster: Cluster
    strategy: Strategy
    profile: FrameworkProfile
    seq_len: int | None
    as_json: bool
    out: Path | None


def take_job(options: dict[str, Any]) -> AskedJob:
    """Take the options of the job and its layout, and `--json` and `--out`, out of those of a verb.

    Raises
    ------
    ConfigError
        Listing everything that is not legal.
    """
    as_json, out = options.pop("as_json"), options.pop("out")
    model, cluster, framework, seq_len = (options.pop(name) for name in ("model", "cluster", "framework", "seq_len"))
    layout = {f.name: options.pop(f.name) for f in fields(Strategy)}
    return AskedJob(*read_job(model, cluster, layout, framework, seq_len), seq_len, as_json, out)


def read_job(
    model: Model | str | None,
    cluster: Cluster | str | None,
    layout: dict[str, Any],
    framework: str,
    seq_len: int | None,
) -> tuple[Model, Cluster, Strategy, FrameworkProfile]:
    """What the arguments name, or a job file gave; the problems of all of them in one error."""
    stages, reshard = layout.pop("layers_per_stage"), layout.pop("reshard_after_forward")
    order = layout["custom_order"]
    texts = order.split(";") if isinstance(order, str) else order
    layout["custom_order"] = tuple(part.strip() for part in texts if part)
    described, hardware, even, profile, layers, group = gather(
        lambda: model_of(*stated(model=model)) if not isinstance(model, Model) else model,
        lambda: cluster_of(*stated(cluster=cluster)) if not isinstance(cluster, Cluster) else cluster,
        lambda: Strategy(**layout),
        lambda: FrameworkProfile.from_catalog(framework),
        lambda: _stages(stages),
        lambda: _reshard(reshard),
    )
    strategy = even.replace(layers_per_stage=layers, reshard_after_forward=group)
    if seq_len is None or not _computes(hardware, strategy.precision):
        gather(
            lambda: _check_precision(hardware, strategy),
            lambda: checked_seq_len(described, seq_len),
            lambda: _check_layout(described, hardware, strategy, profile),
        )
    return described, hardware, strategy, profile


def stated(**options: Any) -> list[Any]:
    """Values of options that a verb needs.

    Raises
    ------
    ConfigError
        Listing those that neither the command line nor the job file gives.
    """
    problems = Problems()
    for name, value in options.items():
        if value is None:
            problems.missing(f"--{name.replace('_', '-')}", "it on the command line or in the job file")
    problems.raise_if_any()
    return list(options.values())


def _stages(text: str | tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(text, str):
        return tuple(text)
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"strategy.layers_per_stage: got {text!r}, expected whole numbers such as 3,4,4,3") from None


def _reshard(text: str | bool | int | None) -> bool | int | None:
    if not isinstance(text, str):
        return text
    words: dict[str, bool | None] = {"": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            f"strategy.reshard_after_forward: got {text!r}, expected true, false or a number of ranks"
        ) from None


def _computes(cluster: Cluster, precision: Precision | str) -> bool:
    return all(Precision(precision).value in node.device.rates for node in cluster.node_kinds)


def _check_precision(cluster: Cluster, strategy: Strategy) -> None:
    """Say which types a device has, where it lacks that of the matmuls."""
    problems = Problems()
    wanted = Precision(strategy.precision).value
    for device in {node.device.name: node.device for node in cluster.node_kinds}.values():
        if wanted not in device.rates:
            types = ", ".join(p.value for p in Precision if p.value in device.rates)
            problems.add("strategy.precision", wanted, f"a type that {device.name} computes in: {types}")
    problems.raise_if_any()


def _check_layout(model: Model, cluster: Cluster, strategy: Strategy, profile: FrameworkProfile) -> None:
    """Say what else is wrong while `seq_len` is missing: a length that suits every layout stands for it."""
    resolved = strategy.resolved(cluster.device_count)
    seq_len = float(model.tokens_per_sample or 2 * resolved.cp * resolved.tp)
    placed = _core.placed_model(to_core(model), to_core(resolved), to_core(profile))
    _core.check_layout(placed, to_core(resolved), cluster.device_count, seq_len)
