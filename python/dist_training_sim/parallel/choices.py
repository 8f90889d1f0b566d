"""What a strategy chooses among: recomputation, schedules, tiers, optimizers, number formats, ways to communicate."""

from __future__ import annotations

from ..named_enum import NamedEnum

__all__ = [
    "ContextComm",
    "Fp8Recipe",
    "GradDtype",
    "Int8Recipe",
    "MuonTp",
    "OffloadModule",
    "OffloadTier",
    "OffloadUpdate",
    "Optimizer",
    "OptimizerKernels",
    "PipelineTransfers",
    "Precision",
    "Recompute",
    "RecomputeMethod",
    "RecomputeModule",
    "Schedule",
]


class Recompute(NamedEnum):
    """What is computed again in backward instead of being kept."""

    NONE = "none"
    SELECTIVE = "selective"
    """By the framework's rule: core attention (Megatron), or every second matmul and elementwise ops (torchtitan)."""
    FULL = "full"
    """Every block from its input."""


class RecomputeModule(NamedEnum):
    """Parts of a layer that selective recomputation may name (Megatron-Core's `recompute_modules`)."""

    CORE_ATTN = "core_attn"
    """Attention between its projections."""
    MLP = "mlp"
    """A dense feed-forward."""
    MOE = "moe"
    """A layer of experts from its router on, exchanges included."""
    MOE_ACT = "moe_act"
    """The activation between the experts' matmuls; its output is not kept."""
    LAYERNORM = "layernorm"
    """The norms before attention and feed-forward; their outputs are not kept."""
    MLA_UP_PROJ = "mla_up_proj"
    """Up projections and rotation of latent attention; queries, keys and values are not kept."""
    SHARED_EXPERTS = "shared_experts"
    """The feed-forward beside the routed experts."""


class RecomputeMethod(NamedEnum):
    """Which layers full recomputation takes."""

    UNIFORM = "uniform"
    """All, in units of `recompute_layers` (1) that keep the input of their first layer alone."""
    BLOCK = "block"
    """The first `recompute_layers` (all) of each virtual stage."""
    EVERY = "every"
    """Every `recompute_layers`-th (2nd) layer of a rank (torchtitan)."""


class OffloadTier(NamedEnum):
    """Where bytes lie that the device does not keep."""

    NONE = "none"
    """On the device."""
    HOST = "host"
    """In its node's host memory."""
    NVME = "nvme"
    """On its node's NVMe drives, staged through pinned host memory (ZeRO-Infinity, arXiv:2104.07857)."""
    REMOTE = "remote"
    """In memory or storage over the network, staged likewise."""


class OffloadUpdate(NamedEnum):
    """Which processor updates offloaded optimizer states."""

    HOST = "host"
    """The host, at the bandwidth of its memory (ZeRO-Offload); gradients lie where the states do."""
    DEVICE = "device"
    """The device: states come up unit by unit and go back; gradients stay."""


class OffloadModule(NamedEnum):
    """Ops whose input is offloaded (Megatron-Core's `offload_modules`)."""

    ATTN_NORM = "attn_norm"
    QKV_LINEAR = "qkv_linear"
    CORE_ATTN = "core_attn"
    ATTN_PROJ = "attn_proj"
    MLP_NORM = "mlp_norm"
    EXPERT_FC1 = "expert_fc1"
    MOE_ACT = "moe_act"


class Schedule(NamedEnum):
    """Order of forward and backward passes of a pipeline, and where its stages stand."""

    ONE_F_ONE_B = "1f1b"
    """PipeDream-flush; interleaved when `vpp > 1`."""
    GPIPE = "gpipe"
    LOOPED_BFS = "looped_bfs"
    """Breadth first: every micro-batch of a chunk before the next chunk."""
    ZB_H1 = "zb_h1"
    """Zero bubble with the memory of 1F1B: weight gradients fill gaps."""
    ZB_H2 = "zb_h2"
    """Zero bubble with about twice that memory."""
    ZB_1P = "zb_1p"
    """Zero bubble fitted to the stages' own pass times, activations of at most `pp` micro-batches."""
    ZB_2P = "zb_2p"
    """The same with at most `2 * pp`."""
    ZB_V = "zb_v"
    """Two chunks a rank in a V (`vpp=2`), memory of 1F1B."""
    V_HALF = "v_half"
    """V with half of 1F1B's memory (`vpp=2`)."""
    V_MIN = "v_min"
    """V with a third of 1F1B's memory (`vpp=2`)."""
    DUALPIPE = "dualpipe"
    """Two copies of the model run towards each other; expert exchanges hide behind the opposite pass."""
    DUALPIPE_V = "dualpipe_v"
    """DualPipe on one copy folded to a V (`vpp=2`)."""
    HANAYO = "hanayo"
    """Waves of `vpp / 2`."""


class Optimizer(NamedEnum):
    """Weight update rule; it decides the optimizer's states."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAM = "adam"
    """Adam and AdamW: two fp32 moments."""
    ADAM_8BIT = "adam_8bit"
    """Moments in 8 bits with an fp32 maximum per block of 256 (bitsandbytes)."""
    ADAFACTOR = "adafactor"
    """Second moment factored into rows and columns, no first one; PyTorch's foreach passes."""
    MUON = "muon"
    """Matrices of the layers: one fp32 momentum and five Newton-Schulz iterations; all else follows Adam."""


class OptimizerKernels(NamedEnum):
    """How Adam's update is computed."""

    FRAMEWORK = "framework"
    """As the framework does, `FrameworkProfile.optimizer_bytes`."""
    FUSED = "fused"
    """One pass over weights, gradients and moments."""
    FOREACH = "foreach"
    """PyTorch's foreach: 19 passes."""


class MuonTp(NamedEnum):
    """Muon on matrices that tensor parallelism splits (Megatron-Core's `muon_tp_mode`)."""

    BLOCKWISE = "blockwise"
    """Each rank orthogonalises its part: no communication."""
    DUPLICATED = "duplicated"
    """The matrix is gathered and every rank does all of it."""
    DISTRIBUTED = "distributed"
    """Products are summed over the ranks in every iteration."""


class Precision(NamedEnum):
    """Number format of the matmuls. Below fp32, activations are kept in 2 bytes."""

    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    FP4 = "fp4"
    INT8 = "int8"


class Fp8Recipe(NamedEnum):
    """Scales of 8-bit matmuls: what a cast reads and writes. Attention, LM head and router stay in 16 bits or more."""

    TENSORWISE = "tensorwise"
    """One scale per tensor from its current maximum: the tensor is read twice."""
    DELAYED = "delayed"
    """One scale per tensor from the maxima of past steps."""
    BLOCKWISE = "blockwise"
    """One scale per 1x128 block; operands of two matmuls are cast along both dimensions."""
    MXFP8 = "mxfp8"
    """One scale per 32 elements; operands of two matmuls are cast along both dimensions."""


class Int8Recipe(NamedEnum):
    """Which products of a matmul run in 8-bit integers; operands get one scale per row of the summed dimension."""

    ROWWISE = "rowwise"
    """All three (torchao's int8 mixed-precision training)."""
    SWITCHBACK = "switchback"
    """Forward and input gradient; the weight gradient stays in 16 bits (arXiv:2304.13013)."""


class GradDtype(NamedEnum):
    """Type in which gradients are accumulated and reduced."""

    FRAMEWORK = "framework"
    """The profile's."""
    BF16 = "bf16"
    FP32 = "fp32"


class ContextComm(NamedEnum):
    """How attention reaches the keys and values of the other context-parallel ranks."""

    P2P = "p2p"
    """Ring: each step's keys travel while the step before computes; chunks are placed in zigzag."""
    ALL_GATHER = "all_gather"
    """Keys and values are gathered before attention; nothing hides it."""
    A2A = "a2a"
    """Ulysses: heads are exchanged for sequence before and after attention."""
    A2A_P2P = "a2a+p2p"
    """Heads within groups of `cp_a2a` neighbouring ranks, a ring across the groups."""


class PipelineTransfers(NamedEnum):
    """Whether pipeline ranks wait for the transfers between stages."""

    FRAMEWORK = "framework"
    """As the framework's profile says for 1F1B and GPipe; overlapped under other schedules."""
    OVERLAPPED = "overlapped"
    """Transfers run beside the passes; a pass waits for its input alone."""
    BLOCKING = "blocking"
    """A rank goes on when both sides of a transfer have met and it is done; some orders deadlock, which is refused."""
