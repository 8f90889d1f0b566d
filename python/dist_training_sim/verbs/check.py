"""`check`: whether the job of a launch script fits and how fast it is, before anyone queues it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..result import Result
from ..simulator import simulate
from .cost_report import DAY_S
from .inputs import cluster_of, model_of

if TYPE_CHECKING:
    from ..io.training_job import TrainingJob

__all__ = ["CheckReport", "check"]


@dataclass(frozen=True, repr=False)
class CheckReport:
    """Verdict on a job that a file describes.

    Attributes
    ----------
    job
        What was read, with what of the file was not used.
    result
        The predicted step.
    warnings
        Why the prediction may not be of the job that runs: options not understood, conflicts, devices that differ.
    """

    job: TrainingJob
    result: Result
    warnings: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it more likely fits into memory than not."""
        return self.result.fits

    @property
    def verdict(self) -> str:
        """`fits`, `at risk` or `does not fit`."""
        return self.result.fullest_stage.verdict

    @property
    def oom_probability(self) -> float:
        """Chance of running out of memory."""
        return self.result.fullest_stage.oom_probability

    @property
    def days(self) -> float | None:
        """Days of uninterrupted training for the tokens that the file states; None where it states none."""
        tokens = self.job.train_tokens
        return None if tokens is None else tokens / self.result.tokens_per_s / DAY_S

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts check --json`."""
        r = self.result
        return {
            "fits": self.fits,
            "verdict": self.verdict,
            "oom_probability": self.oom_probability,
            "step_time_s": r.step_time_s,
            "interval": None if r.interval is None else r.interval.to_dict(),
            "tokens_per_s_per_device": r.tokens_per_s_per_device,
            "mfu": r.mfu,
            "days": self.days,
            "cluster": r.cluster_title,
            "devices": r.devices,
            "memory": {
                "reserved_bytes": r.peak_memory.reserved_bytes,
                "reserved_by": r.peak_memory.reserved_by,
                "context_bytes": r.peak_memory.context_bytes,
                "communicator_bytes": r.peak_memory.communicator_bytes,
                "user_buffer_bytes": r.peak_memory.user_buffer_bytes,
                "capacity_bytes": r.peak_memory.capacity_bytes,
            },
            "warnings": list(self.warnings),
            "job": self.job.to_dict() | {"model": r.model, "framework": r.framework, "seq_len": r.seq_len},
        }

    def __repr__(self) -> str:
        r = self.result
        return f"<{self.job.format} job {self.verdict} on {r.cluster_title}: step {r.step_time_s:.4g} s>"


def check(
    path: str | PathLike[str] | None = None,
    cluster: Cluster | str | None = None,
    *,
    text: str | None = None,
    model: Model | str | None = None,
    seq_len: int | None = None,
    framework: FrameworkProfile | str | None = None,
    format: str | None = None,
    variables: Mapping[str, str] | None = None,
    run: str | None = None,
) -> CheckReport:
    """Read a launch script or configuration and say whether its job fits, and how fast it is.

    Parameters
    ----------
    path, text, format, variables, run
        As of `read_job`.
    cluster
        What it will run on; needed unless a job file says so.
    model, seq_len
        For formats that do not hold them (DeepSpeed, accelerate), or in place of those read.
    framework
        Profile in place of the one that suits the format.

    Returns
    -------
    CheckReport

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If it cannot be read.
    ConfigError
        Listing every value that is not legal, with file and line, or every rule that the job violates.

    Examples
    --------
    >>> line = ("torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers 24 --hidden-size 2048 --bf16 "
    ...     "--num-attention-heads 16 --seq-length 2048 --vocab-size 50257 --global-batch-size 256")
    >>> check(text=line, cluster="1xdgx-h100").verdict
    'fits'
    """
    from ..io.jobs import read_job

    where = cluster_of(cluster) if isinstance(cluster, str) else cluster
    devices = None if where is None else where.device_count
    job = read_job(path, text=text, format=format, variables=variables, devices=devices, run=run)
    described = model_of(model) if isinstance(model, str) else model or job.model
    where = where or job.cluster
    length = seq_len or job.seq_len
    problems = Problems()
    if described is None:
        problems.add("model", None, f"a model: {job.format} files do not hold one", "give model (--model)")
    if where is None:
        problems.add("cluster", None, "a cluster", "give cluster (--cluster)")
    if length is None and (described is None or not described.tokens_per_sample):
        problems.add(
            "seq_len", None, f"tokens per sample: {job.format} files do not hold them", "give seq_len (--seq-len)"
        )
    problems.raise_if_any(ConfigError)
    assert described is not None
    assert where is not None
    result = simulate(
        described, where, job.strategy, seq_len=length, framework=framework or job.framework, keep_events=False
    )
    return CheckReport(job, result, _warnings(job, where))


def _warnings(job: TrainingJob, cluster: Cluster) -> tuple[str, ...]:
    texts = [option.complaint for option in job.unknown]
    if job.devices is not None and job.devices != cluster.device_count:
        texts.append(f"the file starts {job.devices} devices, {cluster.title} has {cluster.device_count}")
    return (*texts, *job.conflicts, *job.notes)
