"""`FrameworkProfile`: implementation facts of one training framework and era."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from .._convert import CoreSpec
from ..errors import Problems
from .defaults import FrameworkDefaults

__all__ = ["FrameworkProfile"]

ATTENTION_KERNELS = ("", "fa2", "fa3", "cudnn")
WORKSPACES = ("", "torch", "transformer_engine")
MIB, GIB = 1024.0**2, 1024.0**3


@dataclass(frozen=True, kw_only=True)
class FrameworkProfile:
    """Implementation facts; no value belongs to a single run. `catalog/frameworks.yaml` holds the known ones.

    Attributes
    ----------
    selective
        What `recompute="selective"` runs again: `"core_attention"` or `"alternate_matmuls"`.
    attention_kernel
        `"fa2"`, `"fa3"`, `"cudnn"`: the flash kernel, on devices where it was measured; `""` = the device's best.
    flash_attention, causal_skip, attention_dropout
        Flash or unfused; whether masked blocks are skipped; dropout probability of unfused attention.
    memory_pass_factor
        Bytes of norms, activations and residuals over those of fused kernels.
    cross_entropy_bytes
        Bytes moved per logit, forward and backward together.
    logits_peak_bytes
        Bytes per logit live at the loss, logits included.
    grouped_single_launch
        Experts in one kernel; otherwise one library call per expert.
    tp_overlap
        What runs beside tensor-parallel collectives: `"none"`; `"bulk"`: the gradient matmuls of column weights;
        `"userbuffers"`: also matmuls cut into chunks, forward and backward (Transformer Engine); `"async_tp"`: matmuls
        cut into chunks by a compiler, nothing else. Both need sequence parallelism within one scale-up domain.
    cached_casts, cast_before_gather, cast_parameters
        8- and 4-bit matmuls: weights cast once a step (ZeRO-3: at every use) and inputs kept cast for
        backward, or each at every use;
        activations cast before sequence parallelism gathers them; weights cast before ZeRO gathers them.
    moe_dispatcher
        `"alltoall"`, `"allgather"` or `"deepep"`: how tokens reach experts where the strategy does not say.
    moe_router_fp32
        Expert scores as an fp32 matmul; otherwise 16-bit operands with fp32 results.
    grad_reduce_bytes, main_grad_bytes, grad_accumulate_bytes
        Per parameter: bytes on the wire, of the gradient buffer, and moved per micro-batch to accumulate.
    bucket_parameters, bucket_parameters_per_rank
        Gradients reduced together: at least the first, and at least the second times the data-parallel size.
    fsdp_reduce_every_micro_batch, reshard_after_forward, fsdp_gather_before_reduce, fsdp_keeps_under_pp
        FSDP: reduce-scatter in every micro-batch; gather parameters again for backward; gather the next block before
        this one's gradients are reduced; with pipeline stages, gather and reduce once a step.
    p2p_blocking, p2p_blocking_interleaved, p2p_sliced_over_tp, p2p_metadata_messages
        Pipeline ranks wait for transfers (one chunk a rank, several chunks); without sequence parallelism every
        tensor-parallel rank sends a slice, gathered on arrival; small messages before each tensor.
    optimizer_bytes
        Bytes moved per owned parameter by an Adam update.
    host_forward_s_per_op, host_backward_s_per_op, step_cost_s
        Host seconds per kernel launched, and per step (data loading, logging, clipping, scheduler).
    fp32_shards, dummy_weight_gradients, gather_buffers, eager_norm, eager_gate, compiled_blocks
        Memory facts: ZeRO-3 keeps fp32 weights; fused accumulation keeps a 16-bit gradient per weight shape; persistent
        all-gather buffers of sequence parallelism; unfused norms and gates keep more for backward; a compiler drops
        block outputs that no backward needs.
    layers_gather_anew, gradient_buckets, flat_weight_gather, batch_first_attention, score_buffer
        Memory facts: those buffers serve the LM head alone; working-type gradients stay in buckets beside accumulated
        ones; ZeRO's update gathers flattened weights; flash attention's output is copied where a micro-batch holds
        several samples; unfused attention keeps a buffer of the scores' size.
    workspace
        `"torch"`, `"transformer_engine"`: library workspaces follow from the device's generation; `""`: they are
        `workspace_bytes`.
    workspace_bytes, context_bytes, reserved_factor
        Library workspaces inside the allocator; CUDA context and communicators outside; reserved / allocated bytes.
    failure_factor
        Reserved over allocated bytes at which half of the jobs fail; 0 = `reserved_factor`.
    sources
        Where the facts were read.
    unvalidated
        No measured run of this framework stands behind the profile: its facts are read, its costs assumed.
    defaults
        What a job does where its description leaves it open.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "FrameworkProfile", python_only=frozenset({"sources", "label", "attention_kernel", "workspace", "failure_factor", "unvalidated", "defaults"})
    )

    name: str = "generic"
    label: str = ""
    selective: str = "core_attention"
    attention_kernel: str = ""
    workspace: str = ""
    flash_attention: bool = True
    causal_skip: bool = True
    attention_dropout: float = 0.0
    memory_pass_factor: float = 1.0
    cross_entropy_bytes: float = 20.0
    logits_peak_bytes: float = 6.0
    grouped_single_launch: bool = True
    tp_overlap: str = "bulk"
    cached_casts: bool = True
    cast_before_gather: bool = False
    cast_parameters: bool = False
    moe_dispatcher: str = "alltoall"
    moe_router_fp32: bool = True
    grad_reduce_bytes: float = 4.0
    main_grad_bytes: float = 4.0
    grad_accumulate_bytes: float = 8.0
    bucket_parameters: float = 40e6
    bucket_parameters_per_rank: float = 0.0
    fsdp_reduce_every_micro_batch: bool = True
    reshard_after_forward: bool = True
    fsdp_gather_before_reduce: bool = True
    fsdp_keeps_under_pp: bool = False
    p2p_blocking: bool = False
    p2p_blocking_interleaved: bool = False
    p2p_sliced_over_tp: bool = False
    p2p_metadata_messages: int = 0
    optimizer_bytes: float = 34.0
    host_forward_s_per_op: float = 10e-6
    host_backward_s_per_op: float = 20e-6
    step_cost_s: float = 10e-3
    fp32_shards: bool = False
    dummy_weight_gradients: bool = False
    gather_buffers: int = 1
    layers_gather_anew: bool = True
    gradient_buckets: bool = False
    flat_weight_gather: bool = False
    batch_first_attention: bool = False
    score_buffer: bool = False
    eager_norm: bool = False
    eager_gate: bool = False
    compiled_blocks: bool = False
    workspace_bytes: float = 96 * MIB
    context_bytes: float = 1.5 * GIB
    reserved_factor: float = 1.07
    failure_factor: float = 0.0
    sources: tuple[str, ...] = ()
    unvalidated: bool = False
    defaults: FrameworkDefaults = field(default_factory=FrameworkDefaults)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        problems = Problems()
        for f in fields(self):
            value = getattr(self, f.name)
            where = f"framework {self.name}.{f.name}"
            if f.type == "bool":
                if not isinstance(value, bool):
                    problems.add(where, value, "true or false")
            elif f.type == "int":
                problems.count(where, value, minimum=0)
            elif f.type == "float":
                problems.non_negative(where, value)
        if not isinstance(self.defaults, FrameworkDefaults):
            problems.add(f"framework {self.name}.defaults", self.defaults, "a FrameworkDefaults")
        if self.selective not in ("core_attention", "alternate_matmuls"):
            problems.add(f"framework {self.name}.selective", self.selective, "core_attention or alternate_matmuls")
        if self.main_grad_bytes not in (2, 4):
            problems.add(f"framework {self.name}.main_grad_bytes", self.main_grad_bytes, "2 (16-bit) or 4 (fp32)")
        if self.attention_kernel not in ATTENTION_KERNELS:
            known = ", ".join(repr(kernel) for kernel in ATTENTION_KERNELS)
            problems.add(f"framework {self.name}.attention_kernel", self.attention_kernel, f"one of {known}")
        if self.workspace not in WORKSPACES:
            problems.add(f"framework {self.name}.workspace", self.workspace, f"one of {', '.join(map(repr, WORKSPACES))}")
        if self.tp_overlap not in ("none", "bulk", "userbuffers", "async_tp"):
            problems.add(f"framework {self.name}.tp_overlap", self.tp_overlap, "none, bulk, userbuffers or async_tp")
        if self.moe_dispatcher not in ("alltoall", "allgather", "deepep"):
            problems.add(f"framework {self.name}.moe_dispatcher", self.moe_dispatcher, "alltoall, allgather or deepep")
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, name: str) -> FrameworkProfile:
        """Return a profile of the catalogue; `catalog.frameworks.names()` lists them."""
        from ..catalog.frameworks import load

        return load(name)

    @property
    def title(self) -> str:
        """Label that says whether measured runs stand behind the profile."""
        return f"{self.label or self.name}{' (unvalidated)' if self.unvalidated else ''}"

    def replace(self, **changes: Any) -> FrameworkProfile:
        """Copy with other facts, for an era or fork of one's own."""
        return replace(self, **changes)
