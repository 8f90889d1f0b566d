"""`step_distribution`: how step times spread when ranks are slow by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._convert import to_core
from ..errors import Problems
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..parallel.stragglers import Stragglers
from ..parallel.strategy import Strategy
from ..units import format_seconds
from .job import described_job

if TYPE_CHECKING:
    from ..communication import CommunicationModel
    from ..network import FlowFabric

__all__ = ["StepDistribution", "step_distribution"]


@dataclass(frozen=True, repr=False, eq=False)
class StepDistribution:
    """Step times over many draws of the stragglers.

    Attributes
    ----------
    step_times_s
        Seconds of each step, in order of the draws.
    even_step_time_s
        Seconds of a step with every rank at full speed.
    """

    step_times_s: npt.NDArray[np.float64]
    even_step_time_s: float

    @property
    def mean_s(self) -> float:
        """Mean step time."""
        return float(np.mean(self.step_times_s))

    @property
    def slowdown(self) -> float:
        """Mean step time over that of equal ranks."""
        return self.mean_s / self.even_step_time_s

    def percentile_s(self, percent: float) -> float:
        """Step time that `percent` of the steps do not exceed, interpolated between steps."""
        return float(np.percentile(self.step_times_s, percent))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: number of steps, mean, percentiles, extremes."""
        return {
            "steps": len(self.step_times_s),
            "even_step_time_s": self.even_step_time_s,
            "mean_s": self.mean_s,
            "min_s": float(self.step_times_s.min()),
            "p50_s": self.percentile_s(50),
            "p90_s": self.percentile_s(90),
            "p99_s": self.percentile_s(99),
            "max_s": float(self.step_times_s.max()),
        }

    def __repr__(self) -> str:
        p50, p99 = (format_seconds(self.percentile_s(p)) for p in (50, 99))
        return f"<{len(self.step_times_s)} steps: mean {format_seconds(self.mean_s)}, p50 {p50}, p99 {p99}>"


def step_distribution(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    stragglers: Stragglers,
    steps: int = 100,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    network: CommunicationModel | FlowFabric | str | None = None,
    threads: int = 0,
) -> StepDistribution:
    """Predict the times of many steps, each with its own draw of the stragglers.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework, network
        As of `simulate`.
    stragglers
        How ranks differ; step i is what `simulate` gives for draw i of its seed.
    steps
        How many steps.
    threads
        At most so many; 0 takes one per core. Results do not depend on it.

    Raises
    ------
    ConfigError
        Listing every rule that the job violates.

    Examples
    --------
    >>> d = step_distribution("llama-3.1-8b", "1xdgx-h100", Strategy(zero=3, global_batch=64), seq_len=8192,
    ...                       stragglers=Stragglers.lognormal(0.05), steps=10)
    >>> len(d.step_times_s), d.slowdown > 1
    (10, True)
    """
    problems = Problems()
    problems.count("steps", steps, maximum=10**6)
    problems.count("threads", threads, minimum=0, maximum=1024)
    if not isinstance(stragglers, Stragglers):
        problems.add("stragglers", stragglers, "a Stragglers")
    problems.raise_if_any()
    job = described_job(model, cluster, strategy, seq_len, framework, network, stragglers)
    arguments = job.core_arguments() | {"flow": job.flow}
    even = _core.simulate(**arguments, keep_events=False).step_time_s
    times = _core.step_times(**arguments, stragglers=to_core(stragglers), count=steps, threads=threads)
    return StepDistribution(np.array(times, dtype=np.float64), even)
