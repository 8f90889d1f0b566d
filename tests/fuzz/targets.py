"""What is fuzzed: every reader of outside text, by the name of its folder of seeds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dist_training_sim as dts
from dist_training_sim import Strategy, _core
from dist_training_sim.io.jobs import READ_FORMATS
from dist_training_sim.io.nccl_log import read_nccl_log
from dist_training_sim.io.shell_script import read_script
from dist_training_sim.simulator.job import described_job
from dist_training_sim.units import parse_bandwidth, parse_bytes, parse_flops, parse_seconds
from dist_training_sim.validation.corpus import read_rows

__all__ = ["FOUND", "OVER_LIBRARIES", "SEEDS", "TARGETS", "seeds"]

SEEDS = Path(__file__).parent / "seeds"
FOUND = Path(__file__).parent / "found"  # inputs that once broke a target
Target = Callable[[bytes, Path], None]


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="surrogateescape")


def _job(data: bytes, folder: Path, format: str) -> None:
    dts.read_job(text=_text(data), format=format, devices=16)


def _of_file(read: Callable[[Path], object], name: str) -> Target:
    def target(data: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(data)
        read(path)

    return target


def _unit(data: bytes, folder: Path) -> None:
    """Read by each parser; refused only if none of them understands it."""
    refused = []
    for parse in (parse_bytes, parse_bandwidth, parse_flops, parse_seconds):
        try:
            parse(_text(data))
        except dts.DtsError as error:
            refused.append(error)
    if len(refused) == 4:
        raise refused[0]


def _order(data: bytes, folder: Path) -> None:
    """Read, checked and simulated by the core."""
    lists = _text(data).splitlines()
    for arguments in _pipelines():
        if arguments["strategy"].pp == len(lists):
            arguments["strategy"].custom_order = Strategy(custom_order=tuple(lists)).custom_order
            _core.simulate(**arguments, keep_events=False)
            return
    raise dts.ConfigError(f"order: got {len(lists)} lines, expected one for each rank")


@functools.cache
def _pipelines() -> list[dict[str, Any]]:
    """The same small job on one, two and four pipeline ranks, as the core takes it."""
    strategies = (Strategy(pp=pp, dp=8 // pp, global_batch=32 // pp) for pp in (1, 2, 4))
    jobs = [described_job("gpt2", "1xdgx-h100", strategy, 128, "megatron-core", None, None) for strategy in strategies]
    return [job.core_arguments() for job in jobs]


TARGETS: dict[str, Target] = {
    "hf_config": _of_file(dts.Model.from_hf, "config.json"),
    "cluster_yaml": _of_file(dts.Cluster.from_yaml, "cluster.yaml"),
    "nccl_log": _of_file(read_nccl_log, "sweep.log"),
    "corpus": _of_file(read_rows, "rows.jsonl"),
    "any_job": _of_file(dts.read_job, "job"),
    "toml_job": _of_file(dts.read_job, "job.toml"),
    "shell": lambda data, folder: void(read_script(_text(data))),
    "units": _unit,
    "order": _order,
    **{f"job_{name}": functools.partial(_job, format=name) for name in READ_FORMATS},
}
OVER_LIBRARIES = frozenset(TARGETS) - {
    *("units", "shell", "nccl_log", "order"),
    *("job_megatron-lm", "job_megatron-bridge", "job_torchtitan", "job_hf-trainer", "any_job"),
}


def void(_: object) -> None:
    """Nothing is done with what was read."""


def seeds(name: str) -> list[bytes]:
    """The kept inputs of a target; all jobs for `any_job`, scripts for `shell`."""
    folders = {"any_job": sorted(SEEDS.glob("job_*")), "shell": [SEEDS / "job_megatron-lm", SEEDS / "shell"]}
    return [path.read_bytes() for folder in folders.get(name, [SEEDS / name]) for path in sorted(folder.glob("*"))]
