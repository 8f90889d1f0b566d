"""Flow fabrics as text of the command line."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError, Problems
from ..hardware import Cluster
from ..network import FlowFabric, LinkChange

__all__ = ["FABRIC", "read_fabric"]

FABRIC = frozenset(
    {
        *("network_topology", "nodes_per_leaf", "spines", "oversubscription", "routing", "slow_cables", "dead_cables"),
        *("cable_changes", "background"),
    }
)


def read_fabric(options: dict[str, Any], slow_nodes: dict[int, float], cluster: Cluster) -> FlowFabric:
    """Fabric of the options named in `FABRIC`; `slow_nodes`: what is left of all NICs of a node.

    Raises
    ------
    ConfigError
        If a text has another form than its option takes, or a value is not legal.
    """
    routing, _, seed = options["routing"].partition(":")
    problems = Problems()
    if seed and not seed.isdecimal():
        problems.add("routing", options["routing"], "shortest, ecmp, ecmp:SEED, rail_aligned or adaptive")
    problems.raise_if_any()
    slow = {
        name: _number(share, "slow-cables")
        for name, share in _pairs(options["slow_cables"], "=", "slow-cables", "nic 3.0=0.5")
    }
    nics = max(1, min(int(cluster.node.nics or 0), cluster.node.devices))
    for node, share in slow_nodes.items():
        slow |= {f"nic {node}.{nic}": share for nic in range(nics)}
    return FlowFabric(
        topology=options["network_topology"] or None,
        nodes_per_leaf=options["nodes_per_leaf"],
        spines=options["spines"],
        oversubscription=options["oversubscription"],
        routing=routing,
        seed=int(seed or 0),
        slow_links=slow,
        dead_links=_parts(options["dead_cables"]),
        changes=_changes(options["cable_changes"]),
        background=_background(options["background"]),
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(text: str, mark: str, where: str, example: str) -> list[tuple[str, str]]:
    pairs = [tuple(side.strip() for side in part.split(mark)) for part in _parts(text)]
    wrong = next((pair for pair in pairs if len(pair) != 2 or not all(pair)), None)
    if wrong is not None:
        raise ConfigError(f"{where}: got {mark.join(wrong)!r}, expected a list such as {example!r}")
    return [(pair[0], pair[1]) for pair in pairs]


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: got {text!r}, expected a number") from None


def _changes(text: str) -> list[LinkChange]:
    changes = []
    for cable, rest in _pairs(text, "=", "cable-changes", "nic 3.0=0.5@2ms"):
        share, mark, at = rest.partition("@")
        if not mark:
            raise ConfigError(f"cable-changes: got {cable}={rest!r}, expected a list such as 'nic 3.0=0.5@2ms'")
        changes.append(LinkChange(cable, _number(share, "cable-changes"), at))
    return changes


def _background(text: str) -> list[tuple[int, int, str]]:
    flows = []
    for ends, rate in _pairs(text, "=", "background", "0>8=10GB/s"):
        source, mark, target = ends.partition(">")
        if not mark or not source.strip().isdecimal() or not target.strip().isdecimal():
            raise ConfigError(f"background: got {ends!r}, expected device numbers such as '0>8=10GB/s'")
        flows.append((int(source), int(target), rate))
    return flows
