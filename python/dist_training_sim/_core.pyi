"""Types of the private extension module: the same order as src/bindings, checked by `mypy.stubtest`."""

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any, ClassVar, overload

import numpy as np
import numpy.typing as npt

__version__: str

_Link = tuple[int, int, float, float]  # from, to, bytes/s, s

class _CoreType(type): ...  # pybind11's metaclass, which no module exports

# ---- errors --------------------------------------------------------------------------------------------------------

class DtsError(ValueError): ...
class ConfigError(DtsError): ...
class InfeasibleError(DtsError): ...
class MissingDataError(DtsError): ...
class FormatError(DtsError): ...

# ---- device --------------------------------------------------------------------------------------------------------

class DType(Enum):
    FP64 = 0
    FP32 = 1
    TF32 = 2
    FP16 = 3
    BF16 = 4
    FP8 = 5
    FP4 = 6
    INT8 = 7

class DeviceKind(Enum):
    GPU = 0
    CPU = 1
    TPU = 2
    ACCELERATOR = 3

class Clock(Enum):
    BURST = 0
    SUSTAINED = 1

class DTypeRate(metaclass=_CoreType):
    peak_flops: float
    burst_share: float
    sustained_share: float
    def __init__(self) -> None: ...

class GemmConstants(metaclass=_CoreType):
    small_tile_rate: float
    tiny_tile_rate: float
    prologue_k: float
    floor_s: float
    memory_efficiency: float
    overlap_power: float
    wave_quantisation: float
    split_k_floor_s: float
    l2_factor: float
    block_scaled_rate: float
    def __init__(self) -> None: ...

class AttentionConstants(metaclass=_CoreType):
    rate_d64: float
    rate_d128: float
    rate_d256: float
    rate_mla: float
    block_overhead: float
    causal_overhead: float
    block_q: float
    floor_s: float
    cast_bytes: float
    skips_window: bool
    sustained_share: float
    def __init__(self) -> None: ...

class MemoryConstants(metaclass=_CoreType):
    stream_efficiency: float
    norm_efficiency: float
    gather_efficiency: float
    optimizer_efficiency: float
    kernel_floor_s: float
    def __init__(self) -> None: ...

class QuantiseConstants(metaclass=_CoreType):
    bytes_per_element: float
    efficiency: float
    floor_s: float
    def __init__(self) -> None: ...

class DeviceSpec(metaclass=_CoreType):
    name: str
    kind: DeviceKind
    hbm_bytes: float
    hbm_Bps: float
    sm_count: int
    rates: list[DTypeRate]
    gemm: GemmConstants
    gemm_fp8: GemmConstants
    gemm_fp4: GemmConstants
    attention_forward: AttentionConstants
    attention_backward: AttentionConstants
    memory: MemoryConstants
    quantise_fp8_tensor: QuantiseConstants
    quantise_fp8_block: QuantiseConstants
    quantise_fp4_block: QuantiseConstants
    systolic: bool
    measured_kernels: bool
    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, other: DeviceSpec) -> None: ...
    def rate(self, dtype: DType) -> DTypeRate: ...

def check_device(device: DeviceSpec) -> None: ...
def compute_dtype(device: DeviceSpec, dtype: DType) -> DType: ...
def matmul_flops(device: DeviceSpec, dtype: DType, clock: Clock) -> float: ...

# ---- cluster -------------------------------------------------------------------------------------------------------

class ScaleUpKind(Enum):
    FLAT = 0
    TORUS = 1

class ScaleUpSpec(metaclass=_CoreType):
    name: str
    kind: ScaleUpKind
    domain_devices: int
    device_Bps: float
    launch_s: float
    hop_s: float
    ring_efficiency: float
    ring_ramp: float
    ring_ramp_growth: float
    all_reduce_copy: float
    gather_copy: float
    ring_sms: float
    nvls_min_ranks: int
    nvls_startup_s: float
    nvls_ramp: float
    nvls_efficiency: float
    nvls_tree_efficiency: float
    nvls_sms: float
    p2p_launch_s: float
    p2p_peer_s: float
    p2p_ramp: float
    p2p_efficiency: float
    p2p_copy: float
    sendrecv_efficiency: float
    group_exponent: float
    torus_axes: int
    torus_shape: list[int]
    torus_wrap: int
    ring_devices: int
    simple_startup_s: float
    simple_hop_s: float
    ll_efficiency: float
    ll128_startup_s: float
    ll128_efficiency: float
    one_shot_launch_s: float
    one_shot_peer_s: float
    one_shot_efficiency: float
    p2p_channels: int
    p2p_channel_Bps: float
    p2p_part_bytes: float
    def __init__(self) -> None: ...

class ScaleOutSpec(metaclass=_CoreType):
    name: str
    hop_s: float
    low_latency_Bps: float
    level_startup_s: float
    ramp: float
    ring_efficiency: float
    tree_efficiency: float
    group_nics: float
    p2p_peer_s: float
    p2p_ramp: float
    p2p_efficiency: float
    sendrecv_efficiency: float
    ll128_startup_s: float
    ramp_bytes: float
    ll128_Bps: float
    sharp_efficiency: float
    sharp_startup_s: float
    def __init__(self) -> None: ...

class NodeSpec(metaclass=_CoreType):
    name: str
    device: DeviceSpec
    devices: int
    scale_up: ScaleUpSpec
    nics: float
    nic_Bps: float
    host_bytes: float
    host_Bps: float
    host_memory_Bps: float
    def __init__(self) -> None: ...

class OtherNodes(metaclass=_CoreType):
    node: NodeSpec
    @property
    def at(self) -> list[int]: ...
    @at.setter
    def at(self, value: Sequence[int], /) -> None: ...
    def __init__(self) -> None: ...

class ClusterSpec(metaclass=_CoreType):
    name: str
    node: NodeSpec
    nodes: int
    scale_out: ScaleOutSpec
    @property
    def others(self) -> list[OtherNodes]: ...
    @others.setter
    def others(self, value: Sequence[OtherNodes], /) -> None: ...
    def __init__(self) -> None: ...

def device_count(cluster: ClusterSpec) -> int: ...
def domain_devices(cluster: ClusterSpec) -> int: ...
def check_cluster(cluster: ClusterSpec) -> None: ...

class CollectiveCost(metaclass=_CoreType):
    @property
    def time_s(self) -> float: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def bound(self) -> str: ...
    @property
    def sent_bytes_per_rank(self) -> float: ...
    @property
    def sms(self) -> float: ...

class GroupSpan(metaclass=_CoreType):
    ranks: int
    ranks_per_domain: int
    domains: int
    stride: int
    nics_alone: float
    def __init__(self, ranks: int = 1, ranks_per_domain: int = 1, domains: int = 1, stride: int = 1) -> None: ...

def span_of(cluster: ClusterSpec, size: int, stride: int = 1, first: int = 0) -> GroupSpan: ...
def span_of_ranks(cluster: ClusterSpec, ranks: Sequence[int]) -> GroupSpan: ...
def nics_alone(cluster: ClusterSpec, ranks: Sequence[int], span: GroupSpan) -> float: ...
def nic_ports(node: NodeSpec) -> int: ...
def pair_bytes(
    cluster: ClusterSpec, kind: CollectiveKind, bytes: float, ranks: Sequence[int]
) -> list[tuple[int, int, float]]: ...
def fabric_collective(cluster: ClusterSpec, kind: CollectiveKind, bytes: float, span: GroupSpan) -> CollectiveCost: ...

# ---- workload ------------------------------------------------------------------------------------------------------

class OpKind(Enum):
    MATMUL = 0
    GROUPED_MATMUL = 1
    ATTENTION = 2
    NORM = 3
    ACTIVATION = 4
    ELEMENTWISE = 5
    DROPOUT = 6
    EMBEDDING = 7
    CROSS_ENTROPY = 8
    ROUTER = 9
    DISPATCH = 10
    COMBINE = 11
    CONV2D = 12
    SCAN = 13
    CUSTOM = 14

class Sharding(Enum):
    REPLICATED = 0
    SEQUENCE = 1
    COLUMN = 2
    ROW = 3
    HEADS = 4
    VOCAB = 5
    EXPERT = 6
    EXPERT_COLUMN = 7
    EXPERT_ROW = 8

class Rows(Enum):
    TOKENS = 0
    ROUTED = 1
    SAMPLES = 2

class Op(metaclass=_CoreType):
    name: str
    kind: OpKind
    sharding: Sharding
    rows: Rows
    input: str
    in_features: float
    out_features: float
    bias: bool
    trainable: bool
    shared: bool
    extra_parameters: float
    heads: float
    kv_heads: float
    qk_head_dim: float
    v_head_dim: float
    causal: bool
    window: float
    chunk: float
    experts: float
    top_k: float
    forward_bytes_per_element: float
    backward_bytes_per_element: float
    saves_input: bool
    saved_bytes_per_row: float
    score_dropout: bool
    alibi: bool
    norm_groups: float
    norm_has_bias: bool
    output_positions: float
    kernel_area: float
    input_positions: float
    groups: float
    flops_per_row: float
    gathers_output: bool
    def __init__(self) -> None: ...

class Block(metaclass=_CoreType):
    name: str
    ops: list[Op]
    tokens_per_sample: float
    def __init__(self) -> None: ...

class LayerRun(metaclass=_CoreType):
    block: Block
    repeat: int
    def __init__(self) -> None: ...

class ModelSpec(metaclass=_CoreType):
    name: str
    stem: Block
    layers: list[LayerRun]
    head: Block
    encoder: list[LayerRun]
    prediction: list[LayerRun]
    hidden: float
    tokens_per_sample: float
    tied_embeddings: bool
    def __init__(self) -> None: ...

class Flops(metaclass=_CoreType):
    @property
    def causal(self) -> float: ...
    @property
    def full(self) -> float: ...

def check_model(model: ModelSpec) -> None: ...
def op_parameter_count(
    kind: OpKind,
    in_features: float,
    out_features: float,
    bias: bool,
    experts: float,
    norm_groups: float,
    norm_has_bias: bool,
    kernel_area: float,
    groups: float,
    extra_parameters: float,
) -> float: ...
def parameter_count(model: ModelSpec) -> float: ...
def active_parameter_count(model: ModelSpec) -> float: ...
def training_flops(model: ModelSpec, seq_len: float) -> Flops: ...

# ---- parallel ------------------------------------------------------------------------------------------------------

class Recompute(Enum):
    NONE = 0
    SELECTIVE = 1
    FULL = 2

class RecomputeModule(Enum):
    CORE_ATTN = 0
    MLP = 1
    MOE = 2
    MOE_ACT = 3
    LAYERNORM = 4
    MLA_UP_PROJ = 5
    SHARED_EXPERTS = 6

class RecomputeMethod(Enum):
    UNIFORM = 0
    BLOCK = 1
    EVERY = 2

class OffloadTier(Enum):
    NONE = 0
    HOST = 1
    NVME = 2
    REMOTE = 3

class OffloadUpdate(Enum):
    HOST = 0
    DEVICE = 1

class OffloadModule(Enum):
    ATTN_NORM = 0
    QKV_LINEAR = 1
    CORE_ATTN = 2
    ATTN_PROJ = 3
    MLP_NORM = 4
    EXPERT_FC1 = 5
    MOE_ACT = 6

class PipelineSchedule(Enum):
    ONE_F_ONE_B = 0
    GPIPE = 1
    LOOPED_BFS = 2
    ZB_H1 = 3
    ZB_H2 = 4
    ZB_1P = 5
    ZB_2P = 6
    ZB_V = 7
    V_HALF = 8
    V_MIN = 9
    DUALPIPE = 10
    DUALPIPE_V = 11
    HANAYO = 12

class Optimizer(Enum):
    SGD = 0
    MOMENTUM = 1
    ADAM = 2
    ADAM_8BIT = 3
    ADAFACTOR = 4
    MUON = 5

class PipelineTransfers(Enum):
    FRAMEWORK = 0
    OVERLAPPED = 1
    BLOCKING = 2

class ContextComm(Enum):
    P2P = 0
    ALL_GATHER = 1
    A2A = 2
    A2A_P2P = 3

class OptimizerKernels(Enum):
    FRAMEWORK = 0
    FUSED = 1
    FOREACH = 2

class MuonTp(Enum):
    BLOCKWISE = 0
    DUPLICATED = 1
    DISTRIBUTED = 2

class Int8Recipe(Enum):
    ROWWISE = 0
    SWITCHBACK = 1

class KvHeads(Enum):
    REFUSE = 0
    REPLICATE = 1
    GATHER = 2

class Fp8Recipe(Enum):
    TENSORWISE = 0
    DELAYED = 1
    BLOCKWISE = 2
    MXFP8 = 3

class Dispatcher(Enum):
    FRAMEWORK = 0
    ALLTOALL = 1
    ALLGATHER = 2
    DEEPEP = 3

class LoadKind(Enum):
    BALANCED = 0
    UNIFORM = 1
    ZIPF = 2
    POWER_LAW = 3
    HISTOGRAM = 4

class ExpertLoad(metaclass=_CoreType):
    kind: LoadKind
    exponent: float
    histogram: list[float]
    seed: int
    def __init__(self) -> None: ...

class GradDType(Enum):
    FRAMEWORK = 0
    BF16 = 1
    FP32 = 2

class Strategy(metaclass=_CoreType):
    dp: int
    tp: int
    pp: int
    vpp: int
    cp: int
    ep: int
    etp: int
    sequence_parallel: bool
    zero: int
    micro_batch: int
    global_batch: int
    recompute: Recompute
    recompute_modules: list[RecomputeModule]
    recompute_method: RecomputeMethod
    recompute_layers: int
    schedule: PipelineSchedule
    optimizer: Optimizer
    optimizer_kernels: OptimizerKernels
    muon_tp: MuonTp
    precision: DType
    fp8_recipe: Fp8Recipe
    int8_recipe: Int8Recipe
    cp_comm: ContextComm
    cp_a2a: int
    overlap_grad_reduce: bool
    overlap_param_gather: bool
    dp_replicas: int
    reshard_after_forward: int
    grad_dtype: GradDType
    offload_optimizer: OffloadTier
    offload_parameters: OffloadTier
    offload_update: OffloadUpdate
    offload_activations: float
    activation_tier: OffloadTier
    offload_modules: list[OffloadModule]
    rank_order: str
    layers_per_stage: list[int]
    moe_dispatcher: Dispatcher
    expert_load: ExpertLoad
    capacity_factor: float
    pad_to_capacity: bool
    moe_max_nodes: int
    overlap_shared_experts: bool
    overlap_moe_1f1b: bool
    first_rank_layers: int
    last_rank_layers: int
    embedding_as_layer: bool
    loss_as_layer: bool
    delay_weight_grad: bool
    p2p: PipelineTransfers
    optimizer_post_validation: bool
    micro_batch_group: int
    custom_order: list[str]
    def __init__(self) -> None: ...

class LossKernel(Enum):
    IN_PLACE = 0
    MEGATRON = 1
    MEGATRON_JIT = 2
    MEGATRON_JIT_AMPERE = 3
    TORCH_EAGER = 4
    TORCH_COMPILED = 5
    NANOTRON = 6

class SelectiveRule(Enum):
    CORE_ATTENTION = 0
    ALTERNATE_MATMULS = 1
    ALL_BUT_ATTENTION = 2

class TpOverlap(Enum):
    NONE = 0
    BULK = 1
    USERBUFFERS = 2
    ASYNC_TP = 3

class BackwardPrefetch(Enum):
    PRE = 0
    POST = 1
    NONE = 2

class CommunicationLibrary(metaclass=_CoreType):
    simple_bytes: float
    ll_bytes: float
    ll128_bytes: float
    granularity_bytes: float
    shared_steps: float
    network_chunk_bytes: float
    switch_chunk_bytes: float
    local_chunk_bytes: float
    switch_buffer_bytes: float
    point_to_point_Bps: float
    ring_Bps: float
    link_share: float
    pool_of_sends: bool
    connects_on_use: bool
    def __init__(self) -> None: ...

class FrameworkProfile(metaclass=_CoreType):
    name: str
    selective: SelectiveRule
    flash_attention: bool
    causal_skip: bool
    attention_dropout: float
    memory_pass_factor: float
    cross_entropy_bytes: float
    loss_kernel: LossKernel
    loss_chunks: int
    grouped_single_launch: bool
    tp_overlap: TpOverlap
    kv_heads_below_tp: KvHeads
    vocabulary_multiple: float
    cached_casts: bool
    fused_casts: bool
    cast_before_gather: bool
    cast_parameters: bool
    moe_dispatcher: Dispatcher
    permute_passes: float
    deepep_permute_passes: float
    exchange_sms: float
    head_exchange_bytes: float
    fused_experts: bool
    expert_bias_forward_bytes: float
    expert_bias_backward_bytes: float
    moe_router_fp32: bool
    grad_reduce_bytes: float
    main_grad_bytes: float
    grad_accumulate_bytes: float
    bucket_parameters: float
    bucket_parameters_per_rank: float
    first_bucket_parameters: float
    bucket_first_stage_only: bool
    buckets_without_overlap: bool
    reduce_to_owner: bool
    param_gather_ahead: int
    fsdp_reduce_every_micro_batch: bool
    reshard_after_forward: bool
    fsdp_backward_prefetch: BackwardPrefetch
    fsdp_gather_copy_bytes: float
    fsdp_reduce_copy_bytes: float
    fsdp_reductions_in_flight: int
    fsdp_keeps_under_pp: bool
    fsdp_unsharded_stages: int
    recompute_stops_early: bool
    interference: bool
    p2p_blocking: bool
    p2p_blocking_interleaved: bool
    p2p_sliced_over_tp: bool
    p2p_launch_s: float
    p2p_metadata_messages: int
    optimizer_bytes: float
    host_update_efficiency: float
    host_forward_s_per_op: float
    host_backward_s_per_op: float
    launch_blocking: bool
    step_cost_s: float
    fp32_shards: bool
    dummy_weight_gradients: bool
    gather_buffers: int
    layers_gather_anew: bool
    gradient_buckets: bool
    accumulates_after_backward: bool
    flat_reduce_bucket: bool
    casts_gradient_slice: bool
    flat_weight_gather: bool
    queue_forward_per_op: float
    queue_backward_per_op: float
    keeps_gradients: bool
    packed_attention: bool
    states_before_training: bool
    narrow_parameters: bool
    score_buffer: bool
    eager_norm: bool
    eager_gate: bool
    zero_under_pp: int
    head_keeps_gathered_input: bool
    keeps_stage_outputs: bool
    compiled_blocks: bool
    workspace_bytes: float
    engine_workspace_bytes: float
    context_bytes: float
    communication: CommunicationLibrary
    reserved_factor: float
    def __init__(self) -> None: ...

class Axis(Enum):
    TP = 0
    CP = 1
    DP = 2
    PP = 3
    EP = 4
    ETP = 5
    EDP = 6
    DP_CP = 7
    CP_HEADS = 8
    CP_SEQUENCE = 9
    DP_SHARD = 10
    DP_REPLICA = 11
    DP_RESHARD = 12
    EDP_SHARD = 13
    EDP_REPLICA = 14
    EDP_RESHARD = 15

class RankGrid(metaclass=_CoreType):
    def __init__(self, strategy: Strategy) -> None: ...
    @property
    def world(self) -> int: ...
    def size(self, axis: Axis) -> int: ...
    def coordinate(self, rank: int, axis: Axis) -> int: ...
    def group(self, rank: int, axis: Axis) -> list[int]: ...
    def groups(self, axis: Axis) -> list[list[int]]: ...

def placed_model(model: ModelSpec, strategy: Strategy, profile: FrameworkProfile) -> ModelSpec: ...
def check_layout(model: ModelSpec, strategy: Strategy, devices: int, seq_len: float) -> None: ...
def layers_per_virtual_stage(layers: int, strategy: Strategy) -> list[int]: ...

# ---- communication -------------------------------------------------------------------------------------------------

class TopologyKind(Enum):
    RING = 0
    TREE = 1
    FULLY_CONNECTED = 2
    MESH_2D = 3
    TORUS_2D = 4
    TORUS_3D = 5
    SWITCH = 6
    FAT_TREE = 7
    RAIL_OPTIMIZED = 8
    DRAGONFLY = 9
    CUSTOM = 10

class CollectiveKind(Enum):
    SEND_RECV = 0
    BROADCAST = 1
    REDUCE = 2
    ALL_REDUCE = 3
    REDUCE_SCATTER = 4
    ALL_GATHER = 5
    GATHER = 6
    SCATTER = 7
    ALL_TO_ALL = 8
    BARRIER = 9

class Algorithm(Enum):
    AUTO = 0
    RING = 1
    BIDIRECTIONAL_RING = 2
    RECURSIVE_DOUBLING = 3
    RECURSIVE_HALVING = 4
    TREE = 5
    RABENSEIFNER = 6
    DOUBLE_BINARY_TREE = 7
    CHAIN = 8
    SCATTER_ALL_GATHER = 9
    DIRECT = 10
    PAIRWISE = 11
    BRUCK = 12
    DISSEMINATION = 13
    TORUS_BUCKET = 14
    HIERARCHICAL = 15

class CommunicationModel(metaclass=_CoreType):
    def __init__(
        self,
        kind: TopologyKind,
        nodes: int,
        devices_per_node: int,
        rates: Sequence[float],
        dims: Sequence[int],
        radix: int,
        group_size: int,
        oversubscription: float,
        switches: int,
        links: Sequence[_Link],
        spines: int,
        reduce_s_per_byte: float,
    ) -> None: ...
    def plan(
        self, kind: CollectiveKind, bytes: float, ranks: Sequence[int], algorithm: Algorithm, root: int, chunks: int
    ) -> tuple[Algorithm, int, list[int], list[int]]: ...
    def links(self) -> list[_Link]: ...
    def collective(
        self, kind: CollectiveKind, bytes: float, ranks: Sequence[int], algorithm: Algorithm, root: int, chunks: int
    ) -> tuple[float, str, str, float]: ...
    def traffic(
        self, kind: CollectiveKind, bytes: float, ranks: Sequence[int], algorithm: Algorithm, root: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def with_links(self, changed: Sequence[_Link]) -> CommunicationModel: ...
    def link(self, a: int, b: int) -> tuple[float, float]: ...
    def vertex_name(self, vertex: int) -> str: ...

# ---- network -------------------------------------------------------------------------------------------------------

class Routing(Enum):
    SHORTEST = 0
    ECMP = 1
    RAIL_ALIGNED = 2
    ADAPTIVE = 3

class AstraTopology(Enum):
    Ring = 0
    Switch = 1
    FullyConnected = 2

class AstraAlgorithm(Enum):
    ring = 0
    direct = 1
    halvingDoubling = 2

class FlowProgram(metaclass=_CoreType):
    def __init__(self, streams: int) -> None: ...
    def add_classic(
        self,
        kind: CollectiveKind,
        algorithm: Algorithm,
        bytes: float,
        members: int,
        dims: Sequence[int],
        fused: bool,
        chunks: int,
    ) -> int: ...
    def add_group(self, ranks: Sequence[int]) -> int: ...
    def compute(self, rank: int, duration_s: float, streams: Sequence[int] = ..., release_s: float = ...) -> int: ...
    def communicate(self, pattern: int, group: int, streams: Sequence[int] = ..., release_s: float = ...) -> int: ...
    def send(self, src: int, dst: int, bytes: float, streams: Sequence[int] = ..., release_s: float = ...) -> int: ...
    def depend(self, task: int, before: int) -> None: ...
    def set_name(self, task: int, name: str) -> None: ...

class FlowResult(metaclass=_CoreType):
    @property
    def end_s(self) -> float: ...
    @property
    def flows(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def interval_s(self) -> float: ...
    @property
    def start_s(self) -> npt.NDArray[np.float64]: ...
    @property
    def finish_s(self) -> npt.NDArray[np.float64]: ...
    @property
    def link_bytes(self) -> npt.NDArray[np.float64]: ...
    @property
    def pair_bytes(self) -> list[tuple[int, int, float]]: ...
    @property
    def bytes_over_time(self) -> npt.NDArray[np.float64]: ...

class FlowNetwork(metaclass=_CoreType):
    def __init__(
        self,
        model: CommunicationModel,
        routing: Routing,
        seed: int,
        dead_links: Sequence[tuple[int, int]],
        background: Sequence[tuple[int, int, float]],
    ) -> None: ...
    def run(self, program: FlowProgram, intervals: int, pairs: bool) -> FlowResult: ...

def astra_time_ns(
    dims: Sequence[tuple[AstraTopology, int, float, float, AstraAlgorithm]],
    chunks: int,
    local_memory_GBps: float,
    kind: CollectiveKind,
    bytes: float,
) -> float: ...

# ---- compute -------------------------------------------------------------------------------------------------------

class GemmPass(Enum):
    FORWARD = 0
    DATA_GRAD = 1
    WEIGHT_GRAD = 2

class QuantiseRecipe(Enum):
    FP8_TENSOR = 0
    FP8_BLOCK = 1
    FP4_BLOCK = 2
    FP8_DELAYED = 3
    MXFP8 = 4

class GemmShape(metaclass=_CoreType):
    m: float
    n: float
    k: float
    batch: float
    def __init__(self, m: float, n: float, k: float, batch: float = 1.0) -> None: ...

class AttentionShape(metaclass=_CoreType):
    batch: float
    heads: float
    kv_heads: float
    q_len: float
    kv_len: float
    qk_dim: float
    v_dim: float
    causal: bool
    window: float
    def __init__(self) -> None: ...

class ConvShape(metaclass=_CoreType):
    samples: float
    in_channels: float
    out_channels: float
    kernel_area: float
    input_positions: float
    output_positions: float
    groups: float
    def __init__(self) -> None: ...

class GroupedKernel(metaclass=_CoreType):
    forward_rate: float
    data_grad_rate: float
    weight_grad_rate: float
    forward_group_s: float
    data_grad_group_s: float
    weight_grad_group_s: float
    def __init__(self) -> None: ...

class UnfusedAttentionBytes(metaclass=_CoreType):
    forward_bytes_per_score: float
    backward_bytes_per_score: float
    def __init__(self) -> None: ...

def pass_shape(forward: GemmShape, gemm_pass: GemmPass) -> GemmShape: ...
def gemm_time_s(
    device: DeviceSpec,
    dtype: DType,
    shape: GemmShape,
    gemm_pass: GemmPass,
    output_bytes_per_element: float,
    clock: Clock = ...,
) -> float: ...

GROUPED_SINGLE_LAUNCH: GroupedKernel
GROUPED_MULTI_STREAM: GroupedKernel

def grouped_gemm_time_s(
    device: DeviceSpec,
    dtype: DType,
    groups: float,
    per_group: GemmShape,
    gemm_pass: GemmPass,
    output_bytes_per_element: float,
    kernel: GroupedKernel = ...,
    clock: Clock = ...,
) -> float: ...
def grouped_rows_time_s(
    device: DeviceSpec,
    dtype: DType,
    rows: Sequence[float],
    out_features: float,
    in_features: float,
    gemm_pass: GemmPass,
    output_bytes_per_element: float,
    kernel: GroupedKernel = ...,
    clock: Clock = ...,
) -> float: ...
def flash_attention_time_s(
    device: DeviceSpec,
    dtype: DType,
    shape: AttentionShape,
    backward: bool,
    causal_skip: bool = True,
    clock: Clock = ...,
) -> float: ...
def unfused_attention_time_s(
    device: DeviceSpec, dtype: DType, shape: AttentionShape, backward: bool, bytes: UnfusedAttentionBytes = ...
) -> float: ...
def conv_gemm(shape: ConvShape, gemm_pass: GemmPass) -> GemmShape: ...
def conv_time_s(
    device: DeviceSpec,
    dtype: DType,
    shape: ConvShape,
    gemm_pass: GemmPass,
    output_bytes_per_element: float,
    clock: Clock = ...,
) -> float: ...
def stream_time_s(device: DeviceSpec, bytes: float) -> float: ...
def norm_time_s(device: DeviceSpec, bytes: float) -> float: ...
def permute_time_s(device: DeviceSpec, bytes: float) -> float: ...
def roofline_time_s(device: DeviceSpec, dtype: DType, flops: float, bytes: float) -> float: ...
def quantise_time_s(
    device: DeviceSpec, recipe: QuantiseRecipe, elements: float, directions: int = 1, tensors: float = 1
) -> float: ...
def optimizer_time_s(device: DeviceSpec, parameters: float, bytes_per_parameter: float) -> float: ...
def fused_update_bytes(
    states: float, state_bytes: float = 4.0, gradient_bytes: float = 4.0, copy_bytes: float = 0.0
) -> float: ...
def foreach_adamw_bytes(element_bytes: float) -> float: ...
def embedding_forward_bytes(tokens: float, hidden: float, element_bytes: float) -> float: ...
def embedding_backward_bytes(
    tokens: float, hidden: float, element_bytes: float, vocabulary: float, dense_gradient: bool
) -> float: ...
def cross_entropy_bytes_per_logit(fused: bool, logit_bytes: float, backward: bool) -> float: ...

class OpProfile(metaclass=_CoreType):
    flops: float
    bytes: float
    dtype: DType
    def __init__(self, flops: float, bytes: float, dtype: DType = ...) -> None: ...

class GenericWork(metaclass=_CoreType):
    parameters: float
    samples: float
    activations: float
    dtype: DType
    def __init__(self, parameters: float, samples: float, activations: float, dtype: DType = ...) -> None: ...

def pass_profile(work: GenericWork) -> OpProfile: ...

class ComputeModel(metaclass=_CoreType):
    SLOWEST: ClassVar[int] = -1
    def __init__(self, devices: int, device: DeviceSpec) -> None: ...
    def __deepcopy__(self, memo: dict[Any, Any]) -> ComputeModel: ...
    @property
    def devices(self) -> int: ...
    def device(self, index: int) -> DeviceSpec: ...
    def speed(self, index: int) -> float: ...
    def set_device(self, index: int, device: DeviceSpec) -> None: ...
    def set_speed(self, index: int, factor: float) -> None: ...
    def forward_time_s(self, work: GenericWork, device: int) -> float: ...
    def backward_time_s(self, work: GenericWork, device: int) -> float: ...
    def weight_update_time_s(self, parameters: float, bytes_per_parameter: float, device: int) -> float: ...
    def op_time_s(self, profile: OpProfile, device: int) -> float: ...
    def matmul_time_s(self, shape: GemmShape, dtype: DType, device: int) -> float: ...
    def attention_time_s(self, shape: AttentionShape, dtype: DType, backward: bool, device: int) -> float: ...

# ---- memory --------------------------------------------------------------------------------------------------------

class MemoryTier(Enum):
    HBM = 0
    CPU = 1
    DISK = 2
    REMOTE = 3

class GradientStorage(Enum):
    WORKING = 0
    FP32 = 1
    BOTH = 2

class MemoryTierSpec(metaclass=_CoreType):
    def __init__(self, capacity_bytes: float, bandwidth_Bps: float, latency_s: float) -> None: ...
    @property
    def capacity_bytes(self) -> float: ...
    @property
    def bandwidth_Bps(self) -> float: ...
    @property
    def latency_s(self) -> float: ...

def default_memory_tiers() -> list[MemoryTierSpec]: ...

class Allocation(metaclass=_CoreType):
    @property
    def handle(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def tier(self) -> MemoryTier: ...
    @property
    def bytes(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def category(self) -> str: ...

class PoolPeak(metaclass=_CoreType):
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class PoolUsage(metaclass=_CoreType):
    @property
    def capacity_bytes(self) -> int: ...
    @property
    def used_bytes(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def by_category(self) -> dict[str, int]: ...
    @property
    def peak_by_category(self) -> dict[str, int]: ...
    @property
    def free_bytes(self) -> int: ...

class MemoryModel(metaclass=_CoreType):
    def __init__(self, num_devices: int, devices_per_node: int, tiers: Sequence[MemoryTierSpec]) -> None: ...
    def __deepcopy__(self, memo: dict[Any, Any]) -> MemoryModel: ...
    @property
    def tiers(self) -> list[MemoryTierSpec]: ...
    def allocate(self, device: int, bytes: int, tier: MemoryTier, name: str, category: str) -> int: ...
    def free(self, handle: int) -> None: ...
    def transfer(self, handle: int, to: MemoryTier) -> float: ...
    def transfer_time(self, bytes: float, source: MemoryTier, to: MemoryTier) -> float: ...
    def allocation(self, handle: int) -> Allocation: ...
    def allocations(self) -> list[Allocation]: ...
    def usage(self, device: int, tier: MemoryTier) -> PoolUsage: ...
    def reset_peaks(self) -> None: ...

class BlockShares(metaclass=_CoreType):
    def __init__(self, blocks: float, input_share: float, score_share: float, score_flops_share: float) -> None: ...
    @property
    def blocks(self) -> float: ...
    @property
    def input_share(self) -> float: ...
    @property
    def score_share(self) -> float: ...
    @property
    def score_flops_share(self) -> float: ...

class MemoryPlan(metaclass=_CoreType):
    parameters: float
    activations_per_sample: float
    samples_per_device: float
    accumulation_steps: int
    devices: int
    zero: int
    precision: DType
    optimizer: Optimizer
    gradients: GradientStorage
    recompute: Recompute
    optimizer_tier: MemoryTier
    parameter_tier: MemoryTier
    activation_tier: MemoryTier
    blocks: BlockShares
    def __init__(self) -> None: ...

class MemoryEstimate(metaclass=_CoreType):
    @property
    def weights(self) -> float: ...
    @property
    def gradients(self) -> float: ...
    @property
    def optimizer(self) -> float: ...
    @property
    def activations(self) -> float: ...
    @property
    def gathered_parameters(self) -> float: ...
    @property
    def tier_bytes(self) -> list[float]: ...
    @property
    def extra_flops_fraction(self) -> float: ...
    @property
    def communication_bytes(self) -> float: ...
    @property
    def transfer_bytes(self) -> float: ...
    @property
    def transfer_s(self) -> float: ...

class StrategyRow(metaclass=_CoreType):
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def plan(self) -> MemoryPlan: ...
    @property
    def estimate(self) -> MemoryEstimate: ...
    @property
    def saved_bytes(self) -> float: ...
    @property
    def extra_flops_fraction(self) -> float: ...
    @property
    def extra_communication_bytes(self) -> float: ...
    @property
    def extra_transfer_s(self) -> float: ...

def memory_estimate(plan: MemoryPlan, tiers: Sequence[MemoryTierSpec]) -> MemoryEstimate: ...
def memory_missing_bytes(
    estimate: MemoryEstimate, tiers: Sequence[MemoryTierSpec], devices: int, devices_per_node: int
) -> list[float]: ...
def memory_strategy_table(plan: MemoryPlan, tiers: Sequence[MemoryTierSpec]) -> list[StrategyRow]: ...
def transformer_layer_bytes(
    seq_len: float,
    micro_batch: float,
    hidden: float,
    heads: float,
    tp: int,
    sequence_parallel: bool,
    recompute: Recompute,
) -> float: ...
def saved_tensors(
    block: Block, seq_len: float, flash_attention: bool, eager_norm: bool, eager_gate: bool
) -> list[tuple[str, str, float]]: ...
def transformer_block_shares(
    layers: float, seq_len: float, hidden: float, heads: float, flash_attention: bool
) -> BlockShares: ...

# ---- simulator -----------------------------------------------------------------------------------------------------

class TierRate(metaclass=_CoreType):
    def __init__(self, read_Bps: float = 0.0, write_Bps: float = 0.0) -> None: ...
    @property
    def read_Bps(self) -> float: ...
    @property
    def write_Bps(self) -> float: ...

class HostShare(metaclass=_CoreType):
    def __init__(
        self, copy_Bps: float = 0.0, memory_Bps: float = 0.0, nvme: TierRate = ..., remote: TierRate = ...
    ) -> None: ...
    @property
    def copy_Bps(self) -> float: ...
    @property
    def memory_Bps(self) -> float: ...
    @property
    def nvme(self) -> TierRate: ...
    @property
    def remote(self) -> TierRate: ...

class MemoryReport(metaclass=_CoreType):
    @property
    def weights(self) -> float: ...
    @property
    def gradients(self) -> float: ...
    @property
    def optimizer(self) -> float: ...
    @property
    def activations(self) -> float: ...
    @property
    def temporaries(self) -> float: ...
    @property
    def gathered_parameters(self) -> float: ...
    @property
    def communication_buffers(self) -> float: ...
    @property
    def workspace(self) -> float: ...
    @property
    def context(self) -> float: ...
    @property
    def communicators(self) -> list[float]: ...
    @property
    def user_buffers(self) -> float: ...
    @property
    def tiers(self) -> list[float]: ...
    @property
    def host_bytes(self) -> float: ...
    @property
    def nvme_bytes(self) -> float: ...
    @property
    def remote_bytes(self) -> float: ...
    @property
    def update(self) -> float: ...
    @property
    def allocated(self) -> float: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class Breakdown(metaclass=_CoreType):
    @property
    def forward_s(self) -> float: ...
    @property
    def backward_s(self) -> float: ...
    @property
    def recompute_s(self) -> float: ...
    @property
    def optimizer_s(self) -> float: ...
    @property
    def exposed_tp_s(self) -> float: ...
    @property
    def exposed_cp_s(self) -> float: ...
    @property
    def exposed_ep_s(self) -> float: ...
    @property
    def exposed_dp_s(self) -> float: ...
    @property
    def offload_s(self) -> float: ...
    @property
    def pipeline_s(self) -> float: ...
    @property
    def interference_s(self) -> float: ...
    @property
    def contention_s(self) -> float: ...
    @property
    def straggler_s(self) -> float: ...
    @property
    def host_s(self) -> float: ...
    @property
    def fixed_s(self) -> float: ...
    @property
    def total_s(self) -> float: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class TaskKind(Enum):
    FORWARD = 0
    BACKWARD = 1
    PARAM_GATHER = 2
    GRAD_REDUCE = 3
    PIPELINE_SEND = 4
    TIED_REDUCE = 5
    SYNC = 6
    OPTIMIZER = 7
    INPUT_GRAD = 8
    WEIGHT_GRAD = 9
    COPY_REDUCE = 10
    REPLICA_REDUCE = 11
    GRAD_OFFLOAD = 12
    PARAM_UPLOAD = 13
    ACTIVATION_OFFLOAD = 14
    ACTIVATION_RELOAD = 15
    STATE_UPLOAD = 16
    STATE_DOWNLOAD = 17
    TIER_READ = 18
    TIER_WRITE = 19

class Interconnect(metaclass=_CoreType):
    @staticmethod
    def of_cluster(cluster: ClusterSpec, alone: bool = False) -> Interconnect: ...
    @staticmethod
    def of_topology(model: CommunicationModel) -> Interconnect: ...
    def placed(self, device_of: Sequence[int]) -> Interconnect: ...
    @property
    def device_count(self) -> int: ...

class AxisTime(metaclass=_CoreType):
    @property
    def total_s(self) -> float: ...
    @property
    def exposed_s(self) -> float: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class StragglerKind(Enum):
    RANKS = 0
    FRACTION = 1
    UNIFORM = 2
    NORMAL = 3
    LOGNORMAL = 4

class StragglerSpec(metaclass=_CoreType):
    kind: StragglerKind
    fraction: float
    factor: float
    low: float
    high: float
    sigma: float
    group: int
    seed: int
    @property
    def ranks(self) -> list[int]: ...
    @ranks.setter
    def ranks(self, value: Sequence[int], /) -> None: ...
    @property
    def factors(self) -> list[float]: ...
    @factors.setter
    def factors(self, value: Sequence[float], /) -> None: ...
    def __init__(self) -> None: ...

def check_stragglers(spec: StragglerSpec, world: int) -> None: ...
def slowdown_of(spec: StragglerSpec, world: int, step: int = 0) -> list[float]: ...

class FlowStepOptions(metaclass=_CoreType):
    def __init__(
        self,
        rail_optimized: bool,
        nodes_per_leaf: int,
        spines: int,
        oversubscription: float,
        routing: Routing,
        seed: int,
        cables: Sequence[tuple[str, float, float]],
        background: Sequence[tuple[int, int, float]],
    ) -> None: ...

class Clos(metaclass=_CoreType):
    def __init__(self, cluster: ClusterSpec, options: FlowStepOptions) -> None: ...
    @property
    def leaves(self) -> int: ...
    @property
    def spines(self) -> int: ...
    def leaf_of(self, device: int) -> int: ...
    def names(self) -> list[str]: ...
    def capacity_Bps(self) -> npt.NDArray[np.float64]: ...
    def route(self, src: int, dst: int) -> list[tuple[int, float]]: ...

class PairBytes(metaclass=_CoreType):
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class StepLinks(metaclass=_CoreType):
    @property
    def names(self) -> list[str]: ...
    @property
    def interval_s(self) -> float: ...
    @property
    def events(self) -> int: ...
    @property
    def instances(self) -> int: ...
    @property
    def capacity_Bps(self) -> npt.NDArray[np.float64]: ...
    @property
    def bytes(self) -> npt.NDArray[np.float64]: ...
    @property
    def busy_bytes(self) -> npt.NDArray[np.float64]: ...
    @property
    def pairs(self) -> npt.NDArray[np.float64]: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class EventTable(metaclass=_CoreType):
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

class StepResult(metaclass=_CoreType):
    @property
    def step_time_s(self) -> float: ...
    @property
    def even_step_time_s(self) -> float: ...
    @property
    def tokens_per_step(self) -> float: ...
    @property
    def samples_per_step(self) -> float: ...
    @property
    def devices(self) -> int: ...
    @property
    def parameters(self) -> float: ...
    @property
    def model_flops(self) -> float: ...
    @property
    def model_flops_full(self) -> float: ...
    @property
    def hardware_flops(self) -> float: ...
    @property
    def peak_flops(self) -> float: ...
    @property
    def micro_batches(self) -> int: ...
    @property
    def stages(self) -> list[Breakdown]: ...
    @property
    def mean(self) -> Breakdown: ...
    @property
    def memory(self) -> list[MemoryReport]: ...
    @property
    def forward_s(self) -> list[float]: ...
    @property
    def backward_s(self) -> list[float]: ...
    @property
    def capacity_bytes(self) -> list[float]: ...
    @property
    def rank_classes(self) -> int: ...
    @property
    def communication(self) -> list[list[AxisTime]]: ...
    @property
    def communication_s(self) -> float: ...
    @property
    def mean_communication(self) -> list[AxisTime]: ...
    @property
    def uncontended_step_time_s(self) -> float: ...
    @property
    def links(self) -> StepLinks: ...
    @property
    def mfu(self) -> float: ...
    @property
    def mfu_full(self) -> float: ...
    @property
    def hfu(self) -> float: ...
    def event_columns(self) -> dict[str, npt.NDArray[Any]]: ...
    def traffic_bytes(self) -> npt.NDArray[np.float64]: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...

def simulate(
    model: ModelSpec,
    device: DeviceSpec,
    network: Interconnect,
    strategy: Strategy,
    profile: FrameworkProfile,
    seq_len: float,
    expand: bool = False,
    keep_events: bool = True,
    keep_traffic: bool = False,
    slowdown: Sequence[float] = ...,
    stragglers: StragglerSpec | None = None,
    other_devices: Sequence[DeviceSpec] = ...,
    host: HostShare = ...,
    flow: FlowStepOptions | None = None,
    intervals: int = 0,
    traffic: bool = False,
) -> StepResult: ...
def step_times(
    model: ModelSpec,
    device: DeviceSpec,
    network: Interconnect,
    strategy: Strategy,
    profile: FrameworkProfile,
    seq_len: float,
    stragglers: StragglerSpec,
    count: int,
    other_devices: Sequence[DeviceSpec] = ...,
    host: HostShare = ...,
    flow: FlowStepOptions | None = None,
    threads: int = 0,
) -> list[float]: ...

class OpPass(Enum):
    FORWARD = ...
    RECOMPUTE = ...
    DATA_GRAD = ...
    WEIGHT_GRAD = ...

class StepOp(metaclass=_CoreType):
    @property
    def block(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> OpKind: ...
    @property
    def pass_(self) -> OpPass: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def runs(self) -> float: ...
    @property
    def flops(self) -> float: ...
    @property
    def bytes(self) -> float: ...
    @property
    def time_s(self) -> float: ...

def step_ops(
    model: ModelSpec,
    device: DeviceSpec,
    network: Interconnect,
    strategy: Strategy,
    profile: FrameworkProfile,
    seq_len: float,
    other_devices: Sequence[DeviceSpec] = ...,
    host: HostShare = ...,
) -> list[StepOp]: ...

class MemoryTimeline(metaclass=_CoreType):
    @property
    def time_s(self) -> npt.NDArray[np.float64]: ...
    @property
    def bytes(self) -> npt.NDArray[np.float64]: ...
    @property
    def peak_bytes(self) -> float: ...
    @property
    def peak_categories(self) -> list[float]: ...
    @property
    def peak_pass(self) -> int: ...
    @property
    def peak_block(self) -> int: ...
    @property
    def peak_time_s(self) -> float: ...
    @property
    def live(self) -> list[tuple[str, str, int, float, float]]: ...

class AllocatorReplay(metaclass=_CoreType):
    @property
    def peak_allocated_bytes(self) -> float: ...
    @property
    def peak_reserved_bytes(self) -> float: ...
    @property
    def retries(self) -> int: ...
    @property
    def fits(self) -> bool: ...

class MemoryDetails(metaclass=_CoreType):
    @property
    def timelines(self) -> list[MemoryTimeline]: ...
    @property
    def replays(self) -> list[AllocatorReplay]: ...

class CachingAllocator(metaclass=_CoreType):
    def __init__(self, expandable_segments: bool = ..., capacity_bytes: float = ...) -> None: ...
    def allocate(self, id: int, bytes: float) -> bool: ...
    def free(self, id: int) -> None: ...
    @property
    def allocated_bytes(self) -> float: ...
    @property
    def reserved_bytes(self) -> float: ...
    @property
    def peak_allocated_bytes(self) -> float: ...
    @property
    def peak_reserved_bytes(self) -> float: ...
    @property
    def retries(self) -> int: ...

def memory_details(
    model: ModelSpec,
    device: DeviceSpec,
    network: Interconnect,
    strategy: Strategy,
    profile: FrameworkProfile,
    seq_len: float,
    other_devices: Sequence[DeviceSpec] = ...,
    host: HostShare = ...,
    expandable_segments: bool = ...,
    capacity_bytes: float = ...,
) -> MemoryDetails: ...
def allocator_replays(
    model: ModelSpec,
    device: DeviceSpec,
    network: Interconnect,
    strategy: Strategy,
    profile: FrameworkProfile,
    seq_len: float,
    other_devices: Sequence[DeviceSpec] = ...,
    host: HostShare = ...,
    expandable_segments: bool = ...,
) -> list[AllocatorReplay]: ...
def torch_workspace_bytes(hopper_or_later: bool) -> float: ...
def engine_workspace_bytes(hopper_or_later: bool) -> float: ...
def out_of_memory_probability(needed_bytes: float, room_bytes: float) -> float: ...
def fit_verdict(out_of_memory_probability: float) -> str: ...

class RowStatus(IntEnum):
    FITS = 0
    DOES_NOT_FIT = 1
    ILLEGAL = 2

def perfetto_trace(
    events: dict[str, npt.NDArray[Any]],
    kinds: Sequence[str],
    categories: Sequence[str],
    streams: Sequence[str],
    rank: str,
    counters: Sequence[tuple[int, str, str, Sequence[float], Sequence[float]]],
) -> bytes: ...
def kineto_trace(
    events: dict[str, npt.NDArray[Any]],
    ops: Sequence[str],
    kernels: Sequence[str],
    collectives: Sequence[str],
    titles: Sequence[str],
    streams: Sequence[str],
    device: str,
    device_bytes: float,
    step_time_s: float,
    devices: int,
    one_rank: bool,
    row: str,
    counters: Sequence[tuple[int, str, str, Sequence[float], Sequence[float]]],
) -> bytes: ...
def strategy_fields() -> list[str]: ...
def evaluation_columns() -> list[str]: ...

class SearchJob(metaclass=_CoreType):
    def __init__(
        self,
        model: ModelSpec,
        device: DeviceSpec,
        network: Interconnect,
        profile: FrameworkProfile,
        seq_len: float,
        other_devices: Sequence[DeviceSpec] = ...,
        host: HostShare = ...,
    ) -> None: ...
    def evaluate(
        self,
        rows: int,
        bases: Sequence[Strategy],
        base_of: npt.NDArray[np.int32],
        columns: dict[str, Any],
        failure_factor: float = 1.0,
        tier_capacity_bytes: Sequence[float] = ...,
        threads: int = 1,
    ) -> tuple[dict[str, npt.NDArray[Any]], list[str]]: ...
    def legal(
        self,
        rows: int,
        bases: Sequence[Strategy],
        base_of: npt.NDArray[np.int32],
        columns: dict[str, Any],
        threads: int = 1,
    ) -> npt.NDArray[np.bool_]: ...
    def bounds(
        self,
        rows: int,
        bases: Sequence[Strategy],
        base_of: npt.NDArray[np.int32],
        columns: dict[str, Any],
        memory: bool = True,
        room_bytes: float = ...,
        threads: int = 1,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
