"""`dts simulate`: one training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..network import FlowFabric
from ..parallel.choices import (
    ContextComm,
    Fp8Recipe,
    GradDtype,
    Int8Recipe,
    MuonTp,
    OffloadModule,
    OffloadTier,
    OffloadUpdate,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Recompute,
    RecomputeMethod,
    RecomputeModule,
    Schedule,
)
from ..parallel.expert_load import Dispatcher, LoadKind
from ..parallel.strategy import Strategy
from ..result import Result
from ..simulator.distribution import step_distribution
from ..simulator.simulate import simulate as run
from ..verbs import StageMemory, gather, memory_timeline
from .asked_job import read_job
from .deliver import Json, Out, deliver
from .fabric import FABRIC, read_fabric
from .hardware_sheets import kernels_used
from .outcome import ExitCode, complain, warn
from .progress import busy
from .step import memory_of_limit, step_tables, tier_of_limit
from .stragglers import STRAGGLER_FORMS, check_slow_nodes, read_slow_links, read_stragglers

__all__ = ["EXAMPLES", "LAYOUT", "give_layout_options", "simulate"]

EXAMPLES = """\b
Examples:
  dts simulate --model llama-3.1-8b --cluster 1xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192
  dts simulate --model ./config.json --cluster 8xp5.48xlarge --tp 8 --pp 2 --seq-len 4096 --json
  dts simulate --model gpt3-175b --cluster my-cluster.yaml --tp 8 --pp 8 --vpp 3 --zero 1 \\
      --global-batch 64 --seq-len 2048 --recompute selective --framework megatron-lm-2022
  dts simulate --model mixtral-8x7b --cluster 4xdgx-h100 --ep 8 --zero 1 --global-batch 256 \\
      --seq-len 4096 --timeline step.png
  dts simulate --model llama-3.1-70b --cluster 64xdgx-h100 --tp 8 --pp 4 --global-batch 256 \\
      --seq-len 8192 --stragglers lognormal:0.05 --steps 200
  dts simulate --model llama-3.1-70b --cluster 64xdgx-h100 --tp 8 --pp 4 --global-batch 256 \\
      --seq-len 8192 --slow-links 3:0.5
  dts simulate --model llama-3.1-70b --cluster 64xdgx-h100 --tp 8 --pp 4 --global-batch 256 \\
      --seq-len 8192 --network flow --spines 8 --oversubscription 2 --routing ecmp
  dts simulate job.yaml --run long-context
  dts simulate train.sh --cluster 4xdgx-h100 --set TP=8

Exit code 3: the layout is legal, but a stage needs more memory than a device has.
"""


def _option(help: str, default: str | bool = True, **settings: Any) -> Any:
    """Option with a help text, and a text that says what happens when it is left out."""
    return typer.Option(help=help, show_default=default, **settings)


_FLOW = "With --network flow: "


def _choices(kind: Any) -> str:
    return "|".join(str(member.value) for member in kind)


def simulate(
    model: Annotated[str | None, _option("Catalogue name (dts models), or path of a Hugging Face config.json.")] = None,
    cluster: Annotated[str | None, _option("Catalogue node (dts hardware) with a count, or a YAML file.")] = None,
    seq_len: Annotated[int | None, _option("Tokens per sample; needed unless the model fixes it.")] = None,
    framework: Annotated[str, _option("Framework profile.")] = "megatron-core",
    dp: Annotated[int | None, _option("Data parallelism.", "devices / (tp cp pp)")] = None,
    tp: Annotated[int, _option("Tensor parallelism.")] = 1,
    pp: Annotated[int, _option("Pipeline stages.")] = 1,
    vpp: Annotated[int, _option("Virtual stages of each pipeline stage (interleaving).")] = 1,
    cp: Annotated[int, _option("Context parallelism.")] = 1,
    ep: Annotated[int, _option("Expert parallelism.")] = 1,
    etp: Annotated[int | None, _option("Tensor parallelism of experts.", "tp, or 1 if ep > 1")] = None,
    zero: Annotated[int, _option("Sharded over dp: 1 optimizer states, 2 and gradients, 3 and weights (FSDP).")] = 0,
    micro_batch: Annotated[int, _option("Samples per micro-batch and replica.")] = 1,
    global_batch: Annotated[int | None, _option("Samples per step.", "dp x micro-batch")] = None,
    recompute: Annotated[str, _option("Activations computed again.", metavar=_choices(Recompute))] = "none",
    recompute_modules: Annotated[
        str, _option("Of selective: parts, as layernorm,mlp.", "framework", metavar=_choices(RecomputeModule))
    ] = "",
    recompute_method: Annotated[str, _option("Of full: which layers.", metavar=_choices(RecomputeMethod))] = "uniform",
    recompute_layers: Annotated[int | None, _option("Of full: how many layers.", "1, all, 2")] = None,
    precision: Annotated[str, _option("Number format of the matmuls.", metavar=_choices(Precision))] = "bf16",
    fp8_recipe: Annotated[str, _option("Scaling of 8-bit matmuls.", metavar=_choices(Fp8Recipe))] = "tensorwise",
    int8_recipe: Annotated[str, _option("Products in 8-bit integers.", metavar=_choices(Int8Recipe))] = "rowwise",
    cp_comm: Annotated[str, _option("Communication of context parallelism.", metavar=_choices(ContextComm))] = "p2p",
    cp_a2a: Annotated[int, _option("Ranks that exchange heads under a2a+p2p.")] = 1,
    moe_dispatcher: Annotated[str, _option("How tokens reach experts.", metavar=_choices(Dispatcher))] = "framework",
    expert_load: Annotated[str, _option("Rows over experts.", metavar=_choices(LoadKind))] = "balanced",
    capacity_factor: Annotated[float, _option("Experts drop rows beyond this share of the mean; 0 = none.")] = 0.0,
    pad_to_capacity: Annotated[bool, _option("Fill every expert up to its capacity.")] = False,
    moe_max_nodes: Annotated[int, _option("Nodes that a token's experts may lie on; 0 = any.")] = 0,
    overlap_shared_experts: Annotated[bool, _option("Shared experts run beside the exchange.")] = False,
    overlap_moe_1f1b: Annotated[bool, _option("The exchange runs beside another micro-batch's pass.")] = False,
    optimizer: Annotated[str, _option("Weight update.", metavar=_choices(Optimizer))] = "adam",
    optimizer_kernels: Annotated[str, _option("Kernels of Adam.", metavar=_choices(OptimizerKernels))] = "framework",
    muon_tp: Annotated[str, _option("Muon on split matrices.", metavar=_choices(MuonTp))] = "blockwise",
    schedule: Annotated[str, _option("Order of pipeline passes.", metavar=_choices(Schedule))] = "1f1b",
    sequence_parallel: Annotated[bool | None, _option("Split norms over the tp ranks too.", "if tp > 1")] = None,
    overlap_grad_reduce: Annotated[bool, _option("Reduce gradients during the last backward.")] = True,
    overlap_param_gather: Annotated[bool, _option("Gather weights during the first forward.")] = True,
    dp_replicas: Annotated[int, _option("Groups that each hold all sharded states (HSDP).")] = 1,
    reshard_after_forward: Annotated[str, _option("Free FSDP weights: true, false, a group size.", "framework")] = "",
    grad_dtype: Annotated[str, _option("Type of gradients.", metavar=_choices(GradDtype))] = "framework",
    offload_optimizer: Annotated[str, _option("Tier of optimizer states.", metavar=_choices(OffloadTier))] = "none",
    offload_update: Annotated[str, _option("Who updates them.", metavar=_choices(OffloadUpdate))] = "host",
    offload_parameters: Annotated[str, _option("Tier of FSDP shards.", metavar=_choices(OffloadTier))] = "none",
    offload_activations: Annotated[float, _option("Share of saved activations kept in another tier.")] = 0.0,
    activation_tier: Annotated[str, _option("Tier of activations.", metavar=_choices(OffloadTier))] = "host",
    offload_modules: Annotated[
        str, _option("Offload inputs of these alone, as core_attn.", "all", metavar=_choices(OffloadModule))
    ] = "",
    rank_order: Annotated[str, _option("Axes from the fastest varying rank to the slowest.")] = "tp-cp-ep-dp-pp",
    layers_per_stage: Annotated[str, _option("Layers of each virtual stage, as 3,4,4,3.", "even")] = "",
    first_rank_layers: Annotated[int, _option("Layers of the first pipeline rank; 0 = as the others.")] = 0,
    last_rank_layers: Annotated[int, _option("Layers of the last pipeline rank; 0 = as the others.")] = 0,
    embedding_as_layer: Annotated[bool, _option("Count the embedding as a layer when stages are cut.")] = False,
    loss_as_layer: Annotated[bool, _option("Count the loss as a layer when stages are cut.")] = False,
    delay_weight_grad: Annotated[bool, _option("Input gradients leave before weight gradients run.")] = False,
    p2p: Annotated[str, _option("Pipeline transfers.", metavar=_choices(PipelineTransfers))] = "framework",
    optimizer_post_validation: Annotated[bool, _option("Update before the global norm is known.")] = False,
    micro_batch_group: Annotated[int, _option("Micro-batches of a chunk before the next chunk; 0 = pp.")] = 0,
    custom_order: Annotated[str, _option("Passes per pipeline rank, as 'F0 F1 B0 B1; F0 B0 F1 B1'.", "schedule")] = "",
    stragglers: Annotated[str, _option("Slow ranks: " + STRAGGLER_FORMS + ".", "none")] = "",
    straggler_group: Annotated[int, _option("Neighbouring ranks that share a draw, as the 8 of a node.")] = 1,
    seed: Annotated[int, _option("Of the stragglers' draws.")] = 0,
    steps: Annotated[int, _option("Steps to draw; with more than one, their spread is reported too.")] = 1,
    slow_links: Annotated[str, _option("Node, and what is left of the rate of its NICs, as 3:0.5,7:0.9.", "none")] = "",
    network: Annotated[
        str, _option("flow: collectives share the cluster's links.", "fixed prices", metavar="flow")
    ] = "",
    network_topology: Annotated[str, _option(f"{_FLOW}fat_tree or rail_optimized.", "the cluster's")] = "",
    nodes_per_leaf: Annotated[int, _option(f"{_FLOW}nodes on a leaf switch; 0 = 32 of its ports.")] = 0,
    spines: Annotated[int, _option(f"{_FLOW}spine switches; 0 = traffic evenly spread.")] = 0,
    oversubscription: Annotated[float, _option(f"{_FLOW}bandwidth below a leaf over that above it.")] = 1.0,
    routing: Annotated[str, _option(f"{_FLOW}shortest, ecmp:SEED, adaptive or rail_aligned.")] = "shortest",
    slow_cables: Annotated[str, _option(f"{_FLOW}what is left, as 'nic 3.0=0.5, leaf 0 - spine 1=0.2'.", "none")] = "",
    dead_cables: Annotated[str, _option(f"{_FLOW}as 'leaf 0 - spine 1, ...'.", "none")] = "",
    cable_changes: Annotated[str, _option(f"{_FLOW}during the step, as 'nic 3.0=0.5@2ms'; 0 = dead.", "none")] = "",
    background: Annotated[str, _option(f"{_FLOW}other jobs, as '0>40=20GB/s' from device to device.", "none")] = "",
    timeline: Annotated[Path | None, _option("Draw the timeline: PNG, SVG or PDF.", metavar="FILE")] = None,
    trace: Annotated[Path | None, _option("Write the timeline: .pftrace, .json.gz, a folder.", metavar="PATH")] = None,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Predict one training step: time, speed, MFU and memory."""
    given = dict(locals())
    layout = {name: value for name, value in given.items() if name in LAYOUT}
    links = {name: value for name, value in given.items() if name in FABRIC}
    drawn, slow = gather(
        lambda: read_stragglers(stragglers, straggler_group, seed, steps), lambda: read_slow_links(slow_links)
    )
    described, hardware, strategy, profile = read_job(model, cluster, layout, framework, seq_len)
    check_slow_nodes(slow, hardware)
    fabric = _fabric(network, links, slow, hardware)
    for node, share in slow.items() if fabric is None else ():
        hardware = hardware.with_slow_links(node, nic=share)
    job: dict[str, Any] = {"seq_len": seq_len, "framework": profile, "stragglers": drawn, "network": fabric}
    with busy("simulating"):
        result = run(described, hardware, strategy, keep_events=timeline is not None or trace is not None, **job)
        spread = step_distribution(described, hardware, strategy, steps=steps, **job) if steps > 1 else None
    _warn_about(hardware)
    if timeline is not None:
        _draw(result, timeline)
    if trace is not None:
        result.save_trace(trace, _memory(described, hardware, strategy, seq_len, profile) if drawn is None else ())
    data = result.to_dict() | ({} if spread is None else {"spread": spread.to_dict()})
    deliver(data, step_tables(result, spread), as_json=as_json, out=out)
    return _verdict(result)


LAYOUT = frozenset(f.name for f in fields(Strategy))
_JOB = frozenset({"model", "cluster", "seq_len", "framework", "as_json", "out"})


def give_layout_options(verb: Callable[..., ExitCode], extra: Mapping[str, tuple[Any, Any]]) -> None:
    """Give a verb of `**options` the job and layout options of `simulate`, and its own as (annotation, default)."""
    hints = inspect.get_annotations(simulate, eval_str=True)
    listed = [
        p.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, p in inspect.signature(simulate).parameters.items()
        if name in LAYOUT or name in _JOB
    ]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in extra.items()
    ]
    parameters = [*listed[:-2], *own, *listed[-2:]]
    verb.__signature__ = inspect.Signature(parameters, return_annotation=ExitCode)  # type: ignore[attr-defined]
    verb.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": ExitCode}


def _fabric(network: str, links: dict[str, Any], slow: dict[int, float], cluster: Cluster) -> FlowFabric | None:
    """The flow network that the options describe; None without one."""
    if network.lower() == "flow":
        return read_fabric(links, slow, cluster)
    problems = Problems()
    if network:
        problems.add("--network", network, "flow, or nothing for fixed prices")
    defaults = {p.name: p.default for p in inspect.signature(simulate).parameters.values()}
    for name, value in links.items():
        if value != defaults[name]:
            problems.add(f"--{name.replace('_', '-')}", value, "it with --network flow only")
    problems.raise_if_any()
    return None


def _warn_about(cluster: Cluster) -> None:
    for device in {node.device.name: node.device for node in cluster.node_kinds}.values():
        if device.announced:
            warn(f"{device.name} is announced, not sold: its figures are the announced ones")
        if not device.measured_kernels:
            warn(f"no kernels were measured on {device.name}: {kernels_used(device)}, so errors are larger")


def _memory(
    model: Model, cluster: Cluster, strategy: Strategy, seq_len: int | None, profile: FrameworkProfile
) -> Sequence[StageMemory]:
    if len(cluster.node_kinds) > 1:  # ranks of one stage differ
        return ()
    return memory_timeline(model, cluster, strategy, seq_len=seq_len, framework=profile)


def _draw(result: Result, file: Path) -> None:
    from ..visualization import Visualizer

    vis = Visualizer()
    vis.save_figure(vis.plot_training_timeline(result), file)


def _verdict(result: Result) -> ExitCode:
    if result.fits:
        return ExitCode.OK
    tier = next((tier for use in result.memory for tier in use.overfull_tiers), None)
    if tier is not None:
        complain(f"does not fit: {tier_of_limit(result, tier)}; raise zero, offload less, or to another tier")
    else:
        complain(f"does not fit: {memory_of_limit(result.peak_memory)}; raise tp, pp or zero, or recompute more")
    return ExitCode.DOES_NOT_FIT
