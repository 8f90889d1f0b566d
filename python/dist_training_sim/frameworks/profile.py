"""`FrameworkProfile`: implementation facts of one training framework and era."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from .._convert import CoreSpec
from .._display import facts_html
from .._replaced import replaced
from ..errors import Problems
from .defaults import FrameworkDefaults

__all__ = ["FrameworkProfile"]

_CHOICES: dict[str, tuple[object, ...]] = {
    "selective": ("core_attention", "alternate_matmuls", "all_but_attention"),
    "loss_kernel": (
        *("in_place", "megatron", "megatron_jit", "megatron_jit_ampere", "torch_eager", "torch_compiled", "nanotron"),
    ),
    "main_grad_bytes": (2, 4),  # 16-bit or fp32
    "attention_kernel": (
        *("", "fa1", "fa2", "fa3", "triton"),
        *("cudnn", "cudnn_fp8", "cudnn_2025", "cudnn_2025_fp8", "cudnn_2026", "cudnn_2026_fp8", "cudnn_2026_mxfp8"),
    ),
    "workspace": ("", "torch", "transformer_engine"),
    "communication_library": ("nccl", "nccl-2.10", "nccl-2.21", "rccl", "none"),  # catalog/libraries.yaml
    "kv_heads_below_tp": ("refuse", "replicate", "gather"),
    "tp_overlap": ("none", "bulk", "userbuffers", "async_tp"),
    "moe_dispatcher": ("alltoall", "allgather", "deepep"),
    "fsdp_backward_prefetch": ("pre", "post", "none"),
}
MIB, GIB = 1024.0**2, 1024.0**3


@dataclass(frozen=True, kw_only=True)
class FrameworkProfile:
    """Implementation facts; no value belongs to a single run. `catalog/frameworks.yaml` holds the known ones.

    Attributes
    ----------
    selective
        What `recompute="selective"` runs again: `"core_attention"`, `"alternate_matmuls"`, or `"all_but_attention"`
        (and the projections it reads).
    recompute_stops_early
        `recompute="full"` leaves out a block's last matmul and the sums after it, on which no saved tensor depends.
    attention_kernel
        `"fa1"`, `"fa2"`, `"fa3"`, `"triton"`, `"cudnn"` (to early 2025), `"cudnn_fp8"`, `"cudnn_2025"`,
        `"cudnn_2025_fp8"`, `"cudnn_2026"`, `"cudnn_2026_fp8"`, `"cudnn_2026_mxfp8"`: the flash kernel, on devices where
        it was measured; `""` = the device's own.
    flash_attention, causal_skip, attention_dropout
        Flash or unfused; whether masked blocks are skipped; dropout probability of unfused attention.
    head_exchange_bytes
        Per element of q, k, v and the output that `cp_comm="a2a"` exchanges; 0 = of activations, 1 under 8-bit
        attention with one scale per tensor (Transformer Engine, context_parallel.py).
    memory_pass_factor
        Bytes of norms, activations and residuals over those of fused kernels.
    cross_entropy_bytes
        Bytes moved per logit, forward and backward together.
    loss_kernel
        Which tensors of the vocabulary's size the loss makes; bytes per logit at its fullest moment: `"in_place"` 2,
        `"torch_compiled"` 4, `"megatron"` 6, `"nanotron"` 8, `"megatron_jit"` 10, `"torch_eager"` 12,
        `"megatron_jit_ampere"` 15.
    loss_chunks
        LM head and loss, forward and backward, run for so many parts of the tokens in turn (Liger's linear loss).
    grouped_single_launch
        Experts in one kernel; otherwise one library call per expert.
    tp_overlap
        What runs beside tensor-parallel collectives: `"none"`; `"bulk"`: the gradient matmuls of column weights;
        `"userbuffers"`: also matmuls cut into chunks, forward and backward (Transformer Engine); `"async_tp"`: matmuls
        cut into chunks by a compiler, nothing else. Both need sequence parallelism within one scale-up domain.
    kv_heads_below_tp
        Key and value heads fewer than `tp`: `"refuse"`; `"replicate"`: copied with the weights that make them;
        `"gather"`: the projection stays split and its output is gathered (Megatron-Core).
    vocabulary_multiple
        The vocabulary is padded to a multiple of this times `tp`.
    fused_casts
        Norms and activations write the 8-bit copy of their output themselves, where its scale is known before (delayed
        scaling, MXFP8), and find the maximum of tensorwise scaling.
    cached_casts, cast_before_gather, cast_parameters
        8- and 4-bit matmuls: weights cast once a step (ZeRO-3: at every use) and inputs kept cast for
        backward, or each at every use;
        activations cast before sequence parallelism gathers them; weights cast before ZeRO gathers them.
    moe_dispatcher
        `"alltoall"`, `"allgather"` or `"deepep"`: how tokens reach experts where the strategy does not say.
    permute_passes, deepep_permute_passes
        Bytes moved to order rows by expert, over those of one pass each way, under other dispatchers and under
        `"deepep"`; 0 = inside the exchange.
    exchange_sms
        Multiprocessors that the kernels of a `"deepep"` exchange hold: 20 by default in Megatron-LM for DeepEP.
    fused_experts
        The gate of routed experts and the 8-bit copies around it are made by their matmuls, in no kernel of their own.
    expert_bias_forward_bytes, expert_bias_backward_bytes
        Bytes moved per output element of an expert matmul with a bias, by what a framework then runs apart from its
        fused kernels: the sum, the clamped gate, the product with the probabilities.
    moe_router_fp32
        Expert scores as an fp32 matmul; otherwise 16-bit operands with fp32 results.
    grad_reduce_bytes, main_grad_bytes, grad_accumulate_bytes
        Per parameter: bytes on the wire, of the gradient buffer, and moved per micro-batch to accumulate.
    bucket_parameters, bucket_parameters_per_rank
        Gradients reduced together, filled from the stage's last parameter to its first: at least the first, and at
        least the second times the data-parallel size. 0 and 0 = a block's.
    first_bucket_parameters
        Size of the bucket that is full first; 0 = as the others.
    bucket_first_stage_only, buckets_without_overlap
        Only the first chunk of pipeline rank 0 has buckets, the others one each; buckets also where gradients are
        reduced after the last backward, otherwise one.
    reduce_to_owner
        ZeRO-1 and 2 reduce each slice to its owner instead of a reduce-scatter.
    param_gather_ahead
        Buckets, or FSDP units, that are gathered ahead of the one in use; 0 = all at once.
    fsdp_reductions_in_flight
        FSDP: compute waits for the reduction before so many; 0 = never.
    fsdp_gather_copy_bytes, fsdp_reduce_copy_bytes
        FSDP: bytes that compute moves per parameter to take a gathered unit apart, and per gradient to lay it out for
        its reduction.
    fsdp_unsharded_stages
        With `fsdp_keeps_under_pp`: virtual stages of a rank that stay gathered, those it needs next; 0 = all.
    fsdp_reduce_every_micro_batch, reshard_after_forward, fsdp_keeps_under_pp
        FSDP: reduce-scatter in every micro-batch; gather parameters again for backward; with pipeline stages,
        parameters stay gathered and gradients are reduced once.
    fsdp_backward_prefetch
        When backward gathers the next unit: `"pre"` this one's compute, `"post"` it and before its reduction, or
        `"none"`: when it is reached, behind that reduction.
    interference
        Compute slows while a data-parallel collective beside it holds multiprocessors.
    p2p_blocking, p2p_blocking_interleaved, p2p_sliced_over_tp, p2p_metadata_messages, p2p_launch_s
        Pipeline ranks wait for transfers (one chunk a rank, several chunks); without sequence parallelism every
        tensor-parallel rank sends a slice, gathered on arrival; small messages before each tensor; seconds that a
        transfer which ranks wait for costs beside its bytes.
    optimizer_bytes
        Bytes moved per owned parameter by an Adam update.
    host_update_efficiency
        Share of the host's memory bandwidth that an update on the host reaches (`offload_optimizer`).
    host_forward_s_per_op, host_backward_s_per_op, step_cost_s
        Host seconds per kernel launched, and per step (data loading, logging, clipping, scheduler).
    launch_blocking
        The host waits for every kernel (CUDA_LAUNCH_BLOCKING=1), so that its time is never hidden.
    fp32_shards, dummy_weight_gradients, gather_buffers, eager_norm, eager_gate, compiled_blocks
        Memory facts: ZeRO-3 keeps fp32 weights; fused accumulation keeps a 16-bit gradient per weight shape; persistent
        all-gather buffers of sequence parallelism; unfused norms and gates keep more for backward; a compiler drops
        block outputs that no backward needs.
    layers_gather_anew, gradient_buckets, flat_weight_gather, packed_attention, narrow_parameters, score_buffer
        Memory facts: those buffers serve the LM head alone; working-type gradients stay in buckets beside accumulated
        ones; ZeRO's update gathers flattened weights; attention's q keeps a packed copy of q, k and v, beside one of
        k and v; weights of 8-bit matmuls are kept in that type alone; unfused attention keeps a buffer of the scores'
        size.
    zero_under_pp
        Highest ZeRO stage that the framework runs with pipeline stages.
    head_keeps_gathered_input, keeps_stage_outputs
        Memory facts: under sequence parallelism the LM head keeps its gathered input for backward; the last pipeline
        stage keeps the logits of every micro-batch until the step ends.
    keeps_gradients
        Working-type gradients stay beside the main ones until the next backward makes them anew.
    states_before_training
        Optimizer states exist before the first step; false: the first update makes them.
    queue_forward_per_op, queue_backward_per_op
        Entries of the device's launch queue (kernels, events) per op. Where they are given, what a communication stream
        has read returns to the allocator only when the device has come so far; 0: at once.
    accumulates_after_backward, flat_reduce_bucket, casts_gradient_slice
        Memory facts: working-type gradients of all weights stand until the backward of all blocks is done; a bucket is
        flattened into a copy to be reduced; ZeRO's update flattens its slice of the gradients and casts it to fp32.
    workspace
        `"torch"`, `"transformer_engine"`: library workspaces follow from the device's generation; `""`: they are
        `workspace_bytes` and `engine_workspace_bytes`.
    workspace_bytes, engine_workspace_bytes
        Library workspaces inside the allocator: those of PyTorch's cuBLAS handles together, and each of Transformer
        Engine's, of which grouped matmuls need four more and user buffers two more.
    context_bytes
        CUDA context, outside the allocator. 426 MiB: PyTorch 2.10 on an RTX 6000 Ada before any kernel is loaded
        (unslothai/unsloth-zoo pull 1053; "around 400MB" from CUDA 11.7 on, pytorch issue 109888).
    communication_library
        Whose communicators stand beside it (`nccl`, `nccl-2.21`, `rccl`, `none`); on other devices their vendor's.
    reserved_factor
        Reserved / allocated bytes.
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
        "FrameworkProfile",
        python_only=frozenset(
            {
                "sources",
                "label",
                "attention_kernel",
                "workspace",
                "communication_library",
                "failure_factor",
                "unvalidated",
                "defaults",
            }
        ),
    )

    name: str = "generic"
    label: str = ""
    selective: str = "core_attention"
    attention_kernel: str = ""
    workspace: str = ""
    flash_attention: bool = True
    causal_skip: bool = True
    attention_dropout: float = 0.0
    head_exchange_bytes: float = 0.0
    memory_pass_factor: float = 1.0
    cross_entropy_bytes: float = 20.0
    loss_kernel: str = "megatron"
    loss_chunks: int = 1
    grouped_single_launch: bool = True
    tp_overlap: str = "bulk"
    kv_heads_below_tp: str = "replicate"
    vocabulary_multiple: float = 1.0
    cached_casts: bool = True
    fused_casts: bool = False
    cast_before_gather: bool = False
    cast_parameters: bool = False
    moe_dispatcher: str = "alltoall"
    permute_passes: float = 1.0
    deepep_permute_passes: float = 1.0
    exchange_sms: float = 20.0
    fused_experts: bool = False
    expert_bias_forward_bytes: float = 0.0
    expert_bias_backward_bytes: float = 0.0
    moe_router_fp32: bool = True
    grad_reduce_bytes: float = 4.0
    main_grad_bytes: float = 4.0
    grad_accumulate_bytes: float = 8.0
    bucket_parameters: float = 40e6
    bucket_parameters_per_rank: float = 0.0
    first_bucket_parameters: float = 0.0
    bucket_first_stage_only: bool = False
    buckets_without_overlap: bool = False
    reduce_to_owner: bool = False
    param_gather_ahead: int = 1
    fsdp_reduce_every_micro_batch: bool = True
    reshard_after_forward: bool = True
    fsdp_backward_prefetch: str = "pre"
    fsdp_reductions_in_flight: int = 0
    fsdp_gather_copy_bytes: float = 0.0
    fsdp_reduce_copy_bytes: float = 0.0
    fsdp_keeps_under_pp: bool = False
    fsdp_unsharded_stages: int = 0
    recompute_stops_early: bool = False
    interference: bool = False
    p2p_blocking: bool = False
    p2p_blocking_interleaved: bool = False
    p2p_sliced_over_tp: bool = False
    p2p_metadata_messages: int = 0
    p2p_launch_s: float = 0.0
    optimizer_bytes: float = 34.0
    host_update_efficiency: float = 0.43
    host_forward_s_per_op: float = 10e-6
    host_backward_s_per_op: float = 20e-6
    launch_blocking: bool = False
    step_cost_s: float = 10e-3
    fp32_shards: bool = False
    dummy_weight_gradients: bool = False
    gather_buffers: int = 1
    layers_gather_anew: bool = True
    gradient_buckets: bool = False
    accumulates_after_backward: bool = False
    flat_reduce_bucket: bool = False
    casts_gradient_slice: bool = False
    flat_weight_gather: bool = False
    queue_forward_per_op: float = 0.0
    queue_backward_per_op: float = 0.0
    keeps_gradients: bool = False
    packed_attention: bool = False
    states_before_training: bool = False
    narrow_parameters: bool = False
    score_buffer: bool = False
    eager_norm: bool = False
    eager_gate: bool = False
    zero_under_pp: int = 3
    head_keeps_gathered_input: bool = False
    keeps_stage_outputs: bool = False
    compiled_blocks: bool = False
    workspace_bytes: float = 64 * MIB
    engine_workspace_bytes: float = 32 * MIB
    context_bytes: float = 426 * MIB
    communication_library: str = "nccl"
    reserved_factor: float = 1.07
    failure_factor: float = 0.0
    sources: tuple[str, ...] = ()
    unvalidated: bool = False
    defaults: FrameworkDefaults = field(default_factory=FrameworkDefaults)

    def __post_init__(self) -> None:
        problems = Problems()
        object.__setattr__(self, "sources", problems.listed("framework.sources", self.sources, "a list of texts"))
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
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                expected = ", ".join(repr(choice) for choice in known)
                problems.add(f"framework {self.name}.{name}", getattr(self, name), f"one of {expected}")
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

    def facts(self) -> dict[str, Any]:
        """Plain data: `name`, `label`, `unvalidated`, `facts` by name as the simulator reads them, and `sources`."""
        texts = ("name", "label", "unvalidated", "sources", "defaults")
        facts = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in texts}
        return {
            "name": self.name,
            "label": self.label,
            "unvalidated": self.unvalidated,
            "facts": facts,
            "sources": list(self.sources),
        }

    def replace(self, **changes: Any) -> FrameworkProfile:
        """Copy with other facts, for an era or fork of one's own."""
        return replaced(self, changes)

    def __repr__(self) -> str:
        return f"FrameworkProfile({self.name}: {self.title})"

    def _repr_html_(self) -> str:
        return facts_html(self.title, self.facts()["facts"])
