"""Megatron-LM: launch scripts and command lines ↔ jobs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from ..errors import FormatError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from .decoder_shape import build_decoder, shape_of
from .launch import Launch, read_launch
from .megatron_model import read_shape, write_shape
from .megatron_options import IGNORED
from .megatron_strategy import read_strategy, write_strategy
from .options import Option, Options
from .training_job import TrainingJob

__all__ = ["job_of_options", "megatron_options", "read_megatron", "torchrun", "write_megatron"]

_USUAL = frozenset(("num-layers", "hidden-size", "tensor-model-parallel-size", "micro-batch-size", "seq-length"))
_UNTRAINED = 1000  # training steps of a written command line: a placeholder that every run sets anew


def read_megatron(text: str, where: str, variables: Mapping[str, str] | None = None) -> TrainingJob:
    """Job of a script or command line that starts `pretrain_gpt.py` or alike."""
    launch = read_launch(text, where, variables)
    if not launch.program or {option.name.replace("_", "-") for option in launch.options} & _USUAL:
        return _read(launch)
    raise FormatError(
        f"{where}: {launch.program} is given no options of Megatron-LM such as --num-layers; if it is a job of another "
        "framework, give the format"
    )


def _read(launch: Launch) -> TrainingJob:
    named = [Option(option.name.replace("_", "-"), option.values, option.where) for option in launch.options]
    profile = "megatron-deepspeed" if any(option.name == "deepspeed" for option in named) else "megatron-core"
    return job_of_options(Options(named, "--"), launch, "megatron-lm", profile)


def job_of_options(o: Options, launch: Launch, written_as: str, profile: str) -> TrainingJob:
    """Job of Megatron's options, however they were written."""
    shape = read_shape(o)
    strategy = read_strategy(o, shape.layers if shape else 1)
    seq_len = o.count("seq-length", "encoder-seq-length")
    tokens = _train_tokens(o, strategy, seq_len)
    for name in ("no-position-embedding", "openai-gelu", "muon-tp-mode", "sgd-momentum"):
        o.get(name)
    o.ignore(IGNORED)
    if seq_len is None and not len(o.problems):
        o.problems.missing(f"{o.prefix}seq-length", "a whole number: the option is required")
    o.check()
    assert shape is not None  # or a problem was recorded
    assert strategy is not None
    return TrainingJob.of_options(
        o,
        format=written_as,
        model=build_decoder(shape, f"{written_as} model"),
        strategy=strategy,
        seq_len=seq_len,
        framework=profile,
        devices=launch.devices,
        devices_per_node=launch.devices_per_node,
        train_tokens=tokens,
        notes=launch.notes,
    )


def _train_tokens(o: Options, strategy: Strategy | None, seq_len: int | None) -> float | None:
    samples, steps = o.count("train-samples"), o.count("train-iters")
    if samples is None and steps is not None and strategy is not None and strategy.global_batch:
        samples = steps * strategy.global_batch
    return None if samples is None or seq_len is None else float(samples) * seq_len


def megatron_options(
    model: Model, strategy: Strategy, seq_len: int, profile: FrameworkProfile, devices: int
) -> dict[str, object]:
    """Options of a job by name; True is a switch, False and None are left out.

    Raises
    ------
    ConfigError
        Listing what of the job Megatron has no option for.
    """
    problems = Problems()
    shape = shape_of(model)
    if shape.embedding_norm:
        problems.add(
            "model", model.name, "a model without a norm behind its token table: Megatron-LM has no option for it"
        )
    if shape.attention.alibi:
        problems.add("model", model.name, "another position embedding than ALiBi: Megatron-LM has no option for it")
    routed = shape.experts is not None
    resolved = strategy.resolved(devices)
    options = write_shape(shape, seq_len) | write_strategy(resolved, profile, problems, routed=routed)
    problems.raise_if_any()
    return options | {"train-iters": _UNTRAINED, "lr": "1.0e-4", "mock-data": True}


def write_megatron(model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile) -> str:
    """A launch script that runs the job on mock data."""
    options = megatron_options(model, strategy, seq_len, profile, cluster.device_count)
    words = [f"--{name}{_values(value)}" for name, value in options.items() if value not in (None, False)]
    return torchrun(cluster, "pretrain_gpt.py", words, megatron_environment(strategy))


def _values(value: object) -> str:
    if value is True:
        return ""
    parts: Sequence[object] = value if isinstance(value, tuple) else (value,)
    return "".join(f" {shlex.quote(str(part))}" for part in parts)


def megatron_environment(strategy: Strategy) -> dict[str, str]:
    """Variables of a launch: one queue of kernels, which Megatron's own sharding asks for and its FSDP refuses."""
    return {} if strategy.zero > 1 else {"CUDA_DEVICE_MAX_CONNECTIONS": "1"}


def torchrun(cluster: Cluster, program: str, words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """A script that starts a program on every node of a cluster; it expects the address of node 0 and its own rank."""
    exports = [f"export {name}={value}" for name, value in (environment or {}).items()]
    head = ["#!/bin/bash", "set -euo pipefail", *exports]
    start = [
        f"torchrun --nproc_per_node {cluster.node.devices} --nnodes {cluster.nodes}",
        "--node_rank ${NODE_RANK:-0} --master_addr ${MASTER_ADDR:-localhost}",
        "--master_port ${MASTER_PORT:-6000}",
        program,
        *words,
    ]
    return "\n".join([*head, " \\\n    ".join(start)]) + "\n"
