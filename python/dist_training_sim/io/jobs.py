"""`read_job` and `write_job`: jobs in the formats of training frameworks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import ConfigError, FormatError, shown, suggest
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from .accelerate import read_accelerate
from .bridge import read_bridge, write_bridge
from .deepspeed import read_deepspeed, write_deepspeed
from .hf_trainer import MARKS, read_hf_trainer
from .job_file import job_schema, read_job_file
from .job_file_write import write_job_file
from .launch import TOOLS
from .located import compose, config_text, value_of
from .megatron import read_megatron, write_megatron
from .nanotron import read_nanotron, write_nanotron
from .torchtitan import read_torchtitan
from .torchtitan_write import write_torchtitan
from .training_job import READ_FORMATS, WRITE_FORMATS, TrainingJob

__all__ = ["READ_FORMATS", "WRITE_FORMATS", "WrittenJob", "job_format", "read_job", "write_job"]

Writer = Callable[[Model, Cluster, Strategy, int, FrameworkProfile], str]
_WRITERS: Mapping[str, tuple[Writer, str, str]] = {  # writer, file name, profile of the target
    "dts": (write_job_file, "job.yaml", "megatron-core"),
    "megatron-lm": (write_megatron, "train.sh", "megatron-core"),
    "megatron-bridge": (write_bridge, "train.sh", "megatron-bridge-26.02"),
    "torchtitan": (write_torchtitan, "train.sh", "torchtitan-2025"),
    "deepspeed": (write_deepspeed, "ds_config.json", "deepspeed"),
    "nanotron": (write_nanotron, "config.yaml", "nanotron"),
}
_BRIDGE = ("run_recipe.py", "run_script.py", "model.tensor_model_parallel_size=")
_TITAN = ("torchtitan", "run_train.sh", "--job.config_file", "--training.", "--parallelism.")
_NANOTRON = re.compile(r"run_train\.py\b[^\n]*--config-file[ =](\S+\.ya?ml)")
_WITH_FILE = re.compile(r"\.py\s+\S+\.ya?ml\b")
_TRAINER = frozenset(("per_device_train_batch_size", "gradient_accumulation_steps", "base_model", "dist_config"))
_ACCELERATE = ("distributed_type", "fsdp_config", "deepspeed_config", "compute_environment")


@dataclass(frozen=True)
class WrittenJob:
    """A job in a framework's own format.

    Attributes
    ----------
    format
        Which one.
    text
        The script or configuration; `str()` gives it too.
    file_name
        How such a file is usually called.
    notes
        What of the job has no place in the format and must be set elsewhere.
    """

    format: str
    text: str
    file_name: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts export --json`."""
        return {"format": self.format, "file_name": self.file_name, "text": self.text, "notes": list(self.notes)}


def read_job(
    path: str | PathLike[str] | None = None,
    *,
    text: str | None = None,
    format: str | None = None,
    variables: Mapping[str, str] | None = None,
    devices: int | None = None,
    run: str | None = None,
) -> TrainingJob:
    """Read a training job from a launch script, a command line or a configuration file. Nothing is executed.

    Parameters
    ----------
    path
        A job file of this package (YAML), a shell script (Megatron-LM, Megatron-Bridge, torchtitan), TOML (torchtitan),
        JSON (DeepSpeed) or YAML (nanotron, accelerate).
    text
        Its content, or a command line, in place of a file.
    format
        One of `dts`, `megatron-lm`, `megatron-bridge`, `torchtitan`, `deepspeed`, `nanotron`, `accelerate`,
        `hf-trainer`; by default found from the content.
    variables
        Environment variables that a script expects.
    devices
        Devices of the job: formats that state a batch per replica need them for the global batch.
    run
        Of a job file: one of its runs.

    Returns
    -------
    TrainingJob
        `model` and `seq_len` are None where the format does not hold them; `unknown` lists what was not understood.

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If it cannot be read, or is in none of the formats.
    ConfigError
        Listing every value that is not legal and every contradiction, with file and line.

    Examples
    --------
    >>> job = read_job(text="torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers 24 --hidden-size 2048 "
    ...     "--num-attention-heads 16 --seq-length 2048 --vocab-size 50257 --micro-batch-size 4 --bf16")
    >>> job.model, job.devices, job.strategy.micro_batch
    (Model('megatron-lm model', 24 layers, 1.316 B parameters), 8, 4)
    """
    if (path is None) == (text is None):
        raise ConfigError("read_job: got both or neither of path and text, expected one of them")
    where = "command line" if path is None else str(path)
    content = config_text(Path(path)) if path is not None else text or ""
    kind = format or job_format(content, where)
    if kind not in READ_FORMATS:
        raise ConfigError(f"format: got {shown(kind)}, expected a format of a job; {suggest(kind, READ_FORMATS)}")
    folder = None if path is None else Path(path).parent
    if kind == "dts":
        return read_job_file(content, where, run=run, folder=folder)
    if run is not None:
        raise ConfigError(f"run: got {shown(run)}, expected none: {where} is no job file")
    return _recognised(_read(kind, content, where, variables, devices, folder))


def _read(
    kind: str,
    text: str,
    where: str,
    variables: Mapping[str, str] | None,
    devices: int | None,
    folder: Path | None,
) -> TrainingJob:
    if kind == "megatron-lm":
        return read_megatron(text, where, variables)
    if kind == "megatron-bridge":
        return read_bridge(text, where, variables)
    if kind == "torchtitan":
        return read_torchtitan(text, where, variables, folder=folder, devices=devices)
    if kind == "hf-trainer":
        return read_hf_trainer(text, where, variables, folder=folder, devices=devices)
    if kind == "deepspeed":
        return read_deepspeed(text, where, devices)
    if kind == "nanotron" and (named := _NANOTRON.search(text)) is not None:  # the command that starts it
        path = (folder or Path()) / named.group(1)
        return read_nanotron(config_text(path), str(path))
    return read_nanotron(text, where) if kind == "nanotron" else read_accelerate(text, where)


def job_format(text: str, where: str) -> str:
    """Name of the format of a file's content.

    Raises
    ------
    FormatError
        If it is none of them.
    """
    suffix = Path(where).suffix.lower()
    if suffix == ".toml":
        return "torchtitan"
    if suffix in (".json", ".yaml", ".yml") or re.match(r"\s*(#.*\n\s*)*(\{|---|[A-Za-z_]+:(\s|$))", text):
        return _config_format(text, where)
    if any(f"--{mark}" in text for mark in MARKS) or any(f"{tool} " in text for tool in TOOLS):
        return "hf-trainer"
    if _NANOTRON.search(text):
        return "nanotron"
    if _WITH_FILE.search(text) and "--num-layers" not in text:
        return "hf-trainer"
    if any(mark in text for mark in _BRIDGE):
        return "megatron-bridge"
    return "torchtitan" if any(mark in text for mark in _TITAN) and "--num-layers" not in text else "megatron-lm"


def _config_format(text: str, where: str) -> str:
    content = value_of(node) if (node := compose(text, where)) is not None else {}
    keys = set(content) if isinstance(content, dict) else set()
    if {"parallelism", "model"} <= keys:
        return "nanotron"
    ours = set(job_schema()["properties"])
    if keys and (keys <= ours or keys & {"cluster", "strategy"}):
        return "dts"
    if keys & _TRAINER and not keys & {"zero_optimization", "train_micro_batch_size_per_gpu"}:
        return "hf-trainer"
    if keys & set(_ACCELERATE):
        return "accelerate"
    if keys & {"zero_optimization", "train_batch_size", "train_micro_batch_size_per_gpu", "bf16", "fp16"}:
        return "deepspeed"
    hint = "; a model's config.json is given as the model" if "model_type" in keys else ""
    got = ", ".join(sorted(map(str, keys))[:8]) or "none"
    raise FormatError(f"{where}: got keys {got}; expected a job file, or one of {', '.join(READ_FORMATS[4:])}{hint}")


def _recognised(job: TrainingJob) -> TrainingJob:
    """The same job with its model called as in the catalogue, where it is one of those."""
    model = job.model
    if model is None:
        return job
    for name in _names_by_size().get(_size(model), ()):
        known = Model.from_catalog(name)
        if _content_of(known) == _content_of(model):
            return replace(job, model=known)
    return job


@cache
def _names_by_size() -> dict[tuple[float, int], list[str]]:
    """Names of the catalogue by width and number of layers, the newer of equal shapes first."""
    from ..catalog.models import names

    found: dict[tuple[float, int], list[str]] = {}
    for name in reversed(names()):
        found.setdefault(_size(Model.from_catalog(name)), []).append(name)
    return found


def _size(model: Model) -> tuple[float, int]:
    return model.hidden, sum(run.repeat for run in model.layers)


def _content_of(model: Model) -> tuple[object, ...]:
    """Everything but the names of model and blocks."""
    runs = (*model.encoder, *model.layers, *model.prediction)
    blocks = [(run.repeat, run.block.ops, run.block.tokens_per_sample) for run in runs]
    return model.stem.ops, model.head.ops, model.tied_embeddings, model.tokens_per_sample, blocks


def write_job(
    format: str,
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str | None = None,
) -> WrittenJob:
    """Write a job as a framework's launch script or configuration.

    Parameters
    ----------
    format
        `dts` (a job file of this package), `megatron-lm`, `megatron-bridge`, `torchtitan` (shell scripts), `deepspeed`
        (JSON) or `nanotron` (YAML).
    model, cluster, strategy, seq_len
        As of `simulate`.
    framework
        Profile whose defaults fill what the strategy leaves to the framework; by default that of the format.

    Returns
    -------
    WrittenJob

    Raises
    ------
    ConfigError
        Listing everything of the job for which the format has no option; nothing is dropped silently.

    Examples
    --------
    >>> job = write_job("deepspeed", "llama-3.1-8b", "1xdgx-h100", Strategy(zero=3), seq_len=8192)
    >>> job.file_name
    'ds_config.json'
    """
    if format not in _WRITERS:
        raise ConfigError(f"format: got {shown(format)}, expected one of {', '.join(WRITE_FORMATS)}")
    writer, file_name, own = _WRITERS[format]
    model = Model.from_catalog(model) if isinstance(model, str) else model
    cluster = Cluster.from_catalog(cluster) if isinstance(cluster, str) else cluster
    framework = own if framework is None else framework
    profile = FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework
    length = seq_len or int(model.tokens_per_sample)
    if not length:
        raise ConfigError("seq_len: got None, expected a number of tokens")
    text = writer(model, cluster, strategy, length, profile)
    return WrittenJob(format, text, file_name, _notes(format, model, strategy, length))


def _notes(format: str, model: Model, strategy: Strategy, seq_len: int) -> tuple[str, ...]:
    if format == "deepspeed":
        checks = {"none": "off", "selective": "on, by parts", "full": "on"}
        kind = checks[getattr(strategy.recompute, "value", str(strategy.recompute))]
        return (
            f"DeepSpeed JSON holds the layout alone: the script sets model ({model.name}) and length ({seq_len})",
            f"activation checkpointing is set in the training script: {kind}",
        )
    return ("data are mock data: set the data set and the tokenizer",) if format.startswith("megatron") else ()
