"""`cost`: what a whole training run takes in days, device-hours, dollars and energy; and devices for a deadline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..catalog import cost as catalog
from ..economics.energy import Energy, busy_share, energy_of
from ..economics.goodput import Goodput, best_interval_s, useful_share
from ..economics.scaling_law import loss_of, tokens_for
from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..parallel.choices import Optimizer
from ..result import Result
from ..simulator import simulate
from .cost_deadline import least_nodes
from .cost_report import DAY_S, CostReport
from .inputs import cluster_of, model_of

__all__ = ["cost"]

HOUR_S = 3_600.0
_MOMENT_BYTES = {
    Optimizer.SGD: 0.0,
    Optimizer.MOMENTUM: 4.0,
    Optimizer.ADAM: 8.0,
    Optimizer.ADAM_8BIT: 2.03,
    Optimizer.ADAFACTOR: 0.0,
    Optimizer.MUON: 4.0,
}


@dataclass(frozen=True, kw_only=True)
class _Terms:
    """What the caller says of the run beside the job."""

    tokens: float | None
    loss: float | None
    law: str
    usd_per_device_h: float | None
    pue: float | None
    carbon_kg_per_kwh: float | None
    async_checkpoint: bool
    checkpoint_interval_s: float | None
    checkpoint_s: float | None
    restart_s: float | None
    device_hours_per_failure: float | None

    def check(self, days: float | None) -> None:
        problems = Problems()
        if self.tokens is None and self.loss is None:
            problems.missing("tokens", "a number of tokens, or a loss to reach")
        if self.tokens is not None and self.loss is not None:
            problems.add("tokens", self.tokens, "none beside a loss: either fixes the length of the run")
        positive = ("tokens", "loss", "checkpoint_interval_s", "device_hours_per_failure")
        for name in (*positive, "usd_per_device_h", "carbon_kg_per_kwh", "checkpoint_s", "restart_s"):
            value = getattr(self, name)
            if value is not None:
                (problems.positive if name in positive else problems.non_negative)(name, value)
        if self.pue is not None and problems.positive("pue", self.pue) and self.pue < 1:
            problems.add("pue", self.pue, "a number >= 1: all power over that of the machines")
        if days is not None:
            problems.positive("days", days)
        problems.raise_if_any()
        catalog.law(self.law)


def cost(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    tokens: float | None = None,
    loss: float | None = None,
    law: str = "hoffmann-2022",
    days: float | None = None,
    usd_per_device_h: float | None = None,
    pue: float | None = None,
    carbon_kg_per_kwh: float | None = None,
    async_checkpoint: bool = False,
    checkpoint_interval_s: float | None = None,
    checkpoint_s: float | None = None,
    restart_s: float | None = None,
    device_hours_per_failure: float | None = None,
) -> CostReport:
    """Say what a whole run takes, failures and checkpoints included.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`.
    tokens
        Tokens to train (samples, for models without tokens).
    loss
        A loss to reach instead, in nats per token by the scaling law `law`: `hoffmann-2022` or `besiroglu-2024`. Of
        models with experts the weights that a token uses count.
    days
        A deadline: the least number of nodes that meets it is found, `cluster` gives the kind of node. The global batch
        stays, data parallelism grows.
    usd_per_device_h
        Your price; by default that of the cluster's node, else of a cloud instance with its device, with its date.
    pue, carbon_kg_per_kwh
        Of your site and grid; defaults with their sources in `catalog/cost.yaml`.
    async_checkpoint
        Training goes on while a checkpoint is written.
    checkpoint_interval_s, checkpoint_s, restart_s, device_hours_per_failure
        Training between checkpoints (by default the best, Daly 2006), time that one blocks, time from a failure until
        training goes on, device-hours between failures of the job.

    Returns
    -------
    CostReport

    Raises
    ------
    ConfigError
        Listing every value that is not legal.
    InfeasibleError
        If the model cannot reach the loss, failures leave no time to train, or no number of nodes meets the deadline.

    Examples
    --------
    >>> report = cost("llama-3.1-8b", "64xdgx-h100", Strategy(zero=1, global_batch=1024), seq_len=8192, tokens=15e12)
    >>> report.steps
    1788140
    """
    terms = _Terms(
        tokens=tokens,
        loss=loss,
        law=law,
        usd_per_device_h=usd_per_device_h,
        pue=pue,
        carbon_kg_per_kwh=carbon_kg_per_kwh,
        async_checkpoint=async_checkpoint,
        checkpoint_interval_s=checkpoint_interval_s,
        checkpoint_s=checkpoint_s,
        restart_s=restart_s,
        device_hours_per_failure=device_hours_per_failure,
    )
    terms.check(days)
    model = model_of(model) if isinstance(model, str) else model
    cluster = cluster_of(cluster) if isinstance(cluster, str) else cluster
    strategy = Strategy() if strategy is None else strategy

    def report_of(where: Cluster, layout: Strategy) -> CostReport:
        result = simulate(model, where, layout, seq_len=seq_len, framework=framework, keep_events=False)
        return _report(model, where, result, terms)

    return report_of(cluster, strategy) if days is None else least_nodes(cluster, strategy, days, report_of)


def _report(model: Model, cluster: Cluster, result: Result, terms: _Terms) -> CostReport:
    counted = _counted(model)
    tokens = terms.tokens if terms.tokens is not None else tokens_for(terms.loss or 0.0, counted, terms.law)
    per_step = result.tokens_per_s * result.step_time_s
    steps = max(1, math.ceil(tokens / per_step - 1e-9))
    goodput, notes = _goodput(model, cluster, result, terms)
    wall_s = steps * result.step_time_s / goodput.share
    near = result.interval
    ends = (None, None) if near is None else (near.low90 / result.step_time_s, near.high90 / result.step_time_s)
    low, high = (None if end is None else wall_s * end / DAY_S for end in ends)
    price, source = _price(cluster, terms)
    device_hours = wall_s * result.devices / HOUR_S
    energy, about_energy = _energy(cluster, result, wall_s, terms)
    has_tokens = not model.tokens_per_sample
    return CostReport(
        model=result.model,
        cluster=result.cluster_title,
        framework=result.framework,
        strategy=result.strategy,
        seq_len=int(result.seq_len),
        devices=result.devices,
        tokens=tokens,
        loss=loss_of(counted, tokens, terms.law) if has_tokens else None,
        law=terms.law,
        steps=steps,
        step_time_s=result.step_time_s,
        goodput=goodput,
        days=wall_s / DAY_S,
        days_low90=low,
        days_high90=high,
        device_hours=device_hours,
        usd_per_device_h=price,
        price_source=source,
        usd=None if price is None else price * device_hours,
        energy=energy,
        mfu=result.mfu,
        fits=result.fits,
        oom_probability=result.fullest_stage.oom_probability,
        notes=(*notes, *about_energy, *([f"loss: {catalog.law(terms.law)['source']}"] if has_tokens else [])),
    )


def _counted(model: Model) -> float:
    """Weights that one token uses, all blocks: what a scaling law counts."""
    runs = (*model.encoder, *model.layers, *model.prediction)
    blocks = sum(run.repeat * run.block.active_parameters for run in runs)
    return float(blocks + model.stem.active_parameters + model.head.active_parameters)


def _goodput(model: Model, cluster: Cluster, result: Result, terms: _Terms) -> tuple[Goodput, list[str]]:
    """Failures, checkpoints and restarts of a job, and where their constants are from."""
    table, restart = catalog.section("checkpoint"), catalog.section("restart")
    own, source = catalog.time_between_failures(cluster.node.device.generation)
    hours = terms.device_hours_per_failure or own
    size = model.parameters * (table["weight_bytes"] + _MOMENT_BYTES[result.strategy.optimizer])
    written_s = size / (table["storage_Bps_per_device"] * result.devices)
    blocks_s = written_s * (table["blocking_share_async"] if terms.async_checkpoint else 1.0)
    blocks_s = terms.checkpoint_s if terms.checkpoint_s is not None else blocks_s
    restart_s = terms.restart_s if terms.restart_s is not None else float(restart["seconds"])
    mtbf_s = hours * HOUR_S / result.devices
    interval_s = terms.checkpoint_interval_s or max(best_interval_s(blocks_s, mtbf_s), result.step_time_s)
    share = useful_share(interval_s, blocks_s, restart_s, mtbf_s)
    notes = [] if terms.device_hours_per_failure else [f"failures: {source}"]
    notes += [] if terms.restart_s is not None else [f"restarts: {restart['source']}"]
    notes += [] if terms.checkpoint_s is not None else [f"checkpoints: {table['storage_source']}"]
    return Goodput(mtbf_s, size, blocks_s, interval_s, restart_s, share), notes


def _price(cluster: Cluster, terms: _Terms) -> tuple[float | None, str]:
    if terms.usd_per_device_h is not None:
        return terms.usd_per_device_h, "yours"
    node = cluster.node
    if node.price is not None and len(cluster.node_kinds) == 1:
        return node.price.usd_per_h / node.devices, f"{node.name}, {catalog.priced_when(node.price)}"
    found = catalog.price_of_device(node.device.name)
    return (None, f"none known for {node.device.name}") if found is None else (found.usd_per_device_h, found.source)


def _energy(cluster: Cluster, result: Result, wall_s: float, terms: _Terms) -> tuple[Energy | None, list[str]]:
    pue, carbon, power = (catalog.section(name) for name in ("pue", "carbon", "power"))
    cap = cluster.node.device.power_w
    if cap is None:
        return None, [f"energy: the power cap of {cluster.node.device.name} is not known"]
    site = terms.pue if terms.pue is not None else float(pue["value"])
    grid = terms.carbon_kg_per_kwh if terms.carbon_kg_per_kwh is not None else float(carbon["kg_per_kWh"])
    energy = energy_of(cap, busy_share(result), wall_s * result.devices, site, grid)
    notes = [f"power: {power['device_source']}; {power['rest_source'].removeprefix('fit: ')}"]
    notes += [] if terms.pue is not None else [f"PUE: {pue['source']}"]
    notes += [] if terms.carbon_kg_per_kwh is not None else [f"carbon: {carbon['source']}"]
    return energy, notes
