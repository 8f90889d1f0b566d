"""`report`: one prediction with everything that a reader of it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..result import Result
from ..verbs.explain import Explanation, explain
from ..verbs.fit import FitReport, fit
from ..verbs.inputs import cluster_of, model_of
from ..verbs.neighbours import KnobStep

__all__ = ["Report", "report"]

_WORTH = 0.005  # smaller gains are not advice


@dataclass(frozen=True, repr=False)
class Report:
    """A prediction as a document.

    Attributes
    ----------
    explanation
        The simulated step, what bounds it, and each change of a knob; each was simulated.
    fit
        Memory by stage, its timeline, and what would make the job fit.
    parameters
        Of the model.
    sources
        Who states the facts behind it.
    """

    explanation: Explanation
    fit: FitReport
    parameters: int
    sources: tuple[str, ...]

    @property
    def result(self) -> Result:
        """The simulated step."""
        return self.explanation.result

    @property
    def advice(self) -> tuple[KnobStep, ...]:
        """Changes of one knob that fit and save at least half a per cent of the step, best first."""
        gains = [k for k in self.explanation.knobs if k.fits and (k.step_time_change or 0.0) < -_WORTH]
        return tuple(sorted(gains, key=lambda knob: knob.step_time_s or 0.0))

    def to_html(self, *, theme: str = "light") -> str:
        """One page with its figures inside: no scripts, no network.

        Parameters
        ----------
        theme
            `"light"` or `"dark"`.
        """
        from .html import page

        return page(self, theme)

    def to_markdown(self) -> str:
        """The same text and tables as Markdown, without figures."""
        from .markdown import document

        return document(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts report --json`."""
        return {
            "result": self.result.to_dict(),
            "explanation": self.explanation.to_dict(),
            "verdict": self.fit.verdict,
            "oom_probability": self.fit.oom_probability,
            "remedies": [{"changes": o.changes, "step_time_s": o.step_time_s} for o in self.fit.remedies],
            "sources": list(self.sources),
        }

    def _repr_html_(self) -> str:
        from .html import fragment

        return fragment(self)

    def __repr__(self) -> str:
        return f"<Report {self.result!r}, {self.fit.verdict}, {len(self.advice)} faster changes>"


def report(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
) -> Report:
    """Predict a step, whether it fits, and what would help.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`.

    Raises
    ------
    ConfigError
        Listing every rule that the job violates.

    Examples
    --------
    >>> document = report("gpt2", "1xdgx-h100", seq_len=1024)
    >>> document.fit.verdict
    'fits'
    """
    described = model_of(model) if isinstance(model, str) else model
    hardware = cluster_of(cluster) if isinstance(cluster, str) else cluster
    profile = framework if isinstance(framework, FrameworkProfile) else FrameworkProfile.from_catalog(framework)
    return Report(
        explanation=explain(described, hardware, strategy, seq_len=seq_len, framework=profile),
        fit=fit(described, hardware, strategy, seq_len=seq_len, framework=profile),
        parameters=described.parameters,
        sources=_sources(hardware, profile),
    )


def _sources(cluster: Cluster, profile: FrameworkProfile) -> tuple[str, ...]:
    """Sources of the devices, nodes and fabrics, then of the framework's facts; each once."""
    nodes = cluster.node_kinds
    stated = [*(source for node in nodes for source in (*node.device.sources, *node.sources))]
    stated += [source for node in nodes for source in getattr(node.scale_up, "sources", ())]
    return tuple(dict.fromkeys([*stated, *profile.sources]))
