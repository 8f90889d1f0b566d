"""Types of the private extension module."""

from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

__version__: str

class DtsError(ValueError): ...
class ConfigError(DtsError): ...
class InfeasibleError(DtsError): ...
class MissingDataError(DtsError): ...
class FormatError(DtsError): ...

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

_Link = tuple[int, int, float, float]

class CommunicationModel:
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
        reduce_s_per_byte: float,
    ) -> None: ...
    def collective(
        self, kind: CollectiveKind, bytes: float, ranks: Sequence[int], algorithm: Algorithm, root: int, chunks: int
    ) -> tuple[float, str, str, float]: ...
    def traffic(
        self, kind: CollectiveKind, bytes: float, ranks: Sequence[int], algorithm: Algorithm, root: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def with_links(self, changed: Sequence[_Link]) -> CommunicationModel: ...
    def links(self) -> list[_Link]: ...
    def link(self, a: int, b: int) -> tuple[float, float]: ...
    def vertex_name(self, vertex: int) -> str: ...

class MemoryTier(Enum):
    HBM = 0
    CPU = 1
    DISK = 2
    REMOTE = 3

class MemoryTierSpec:
    def __init__(self, capacity_bytes: float, bandwidth_Bps: float, latency_s: float) -> None: ...
    @property
    def capacity_bytes(self) -> float: ...
    @property
    def bandwidth_Bps(self) -> float: ...
    @property
    def latency_s(self) -> float: ...

def default_memory_tiers() -> list[MemoryTierSpec]: ...

class Allocation:
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

class PoolUsage:
    @property
    def capacity_bytes(self) -> int: ...
    @property
    def used_bytes(self) -> int: ...
    @property
    def free_bytes(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def by_category(self) -> dict[str, int]: ...
    @property
    def peak_by_category(self) -> dict[str, int]: ...

class MemoryModel:
    def __init__(self, num_devices: int, devices_per_node: int, tiers: Sequence[MemoryTierSpec], /) -> None: ...
    def allocate(self, device: int, size: int, tier: MemoryTier, name: str, category: str, /) -> int: ...
    def free(self, handle: int, /) -> None: ...
    def transfer(self, handle: int, to: MemoryTier, /) -> float: ...
    def transfer_time(self, size: float, source: MemoryTier, to: MemoryTier, /) -> float: ...
    def allocation(self, handle: int, /) -> Allocation: ...
    def allocations(self) -> list[Allocation]: ...
    def usage(self, device: int, tier: MemoryTier, /) -> PoolUsage: ...
    def reset_peaks(self) -> None: ...
    @property
    def tiers(self) -> list[MemoryTierSpec]: ...

class BlockShares:
    def __init__(self, blocks: float, input_share: float, score_share: float, score_flops_share: float, /) -> None: ...
    @property
    def blocks(self) -> float: ...
    @property
    def input_share(self) -> float: ...
    @property
    def score_share(self) -> float: ...
    @property
    def score_flops_share(self) -> float: ...

class MemoryPlan:
    parameters: float
    activations_per_sample: float
    samples_per_device: float
    accumulation_steps: int
    devices: int
    zero: int
    precision: int
    optimizer: int
    gradients: int
    recompute: int
    optimizer_tier: MemoryTier
    parameter_tier: MemoryTier
    activation_tier: MemoryTier
    blocks: BlockShares
    def __init__(self) -> None: ...

class MemoryEstimate:
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

class StrategyRow:
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

def memory_estimate(plan: MemoryPlan, tiers: Sequence[MemoryTierSpec], /) -> MemoryEstimate: ...
def memory_missing_bytes(
    estimate: MemoryEstimate, tiers: Sequence[MemoryTierSpec], devices: int, devices_per_node: int, /
) -> list[float]: ...
def memory_strategy_table(plan: MemoryPlan, tiers: Sequence[MemoryTierSpec], /) -> list[StrategyRow]: ...
def transformer_layer_bytes(
    seq_len: float,
    micro_batch: float,
    hidden: float,
    heads: float,
    tp: int,
    sequence_parallel: bool,
    recompute: int,
    /,
) -> float: ...
def transformer_block_shares(
    layers: float, seq_len: float, hidden: float, heads: float, flash_attention: bool, /
) -> BlockShares: ...
