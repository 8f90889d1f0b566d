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
