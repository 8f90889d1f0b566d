"""Slow ranks and links as text of the command line."""

from __future__ import annotations

from ..errors import ConfigError, Problems
from ..hardware import Cluster
from ..parallel.stragglers import StragglerKind, Stragglers

__all__ = ["STRAGGLER_FORMS", "check_slow_nodes", "read_slow_links", "read_stragglers"]

STRAGGLER_FORMS = "lognormal:SIGMA, normal:SIGMA, uniform:LOW:HIGH, fraction:SHARE:FACTOR or ranks:3=1.5,7=2"
_FIELDS = {
    StragglerKind.FRACTION: ("fraction", "factor"),
    StragglerKind.UNIFORM: ("low", "high"),
    StragglerKind.NORMAL: ("sigma",),
    StragglerKind.LOGNORMAL: ("sigma",),
}


def read_stragglers(text: str, group: int, seed: int, steps: int) -> Stragglers | None:
    """Stragglers of a text such as `"lognormal:0.05"`; None of an empty one.

    Raises
    ------
    ConfigError
        If the text has none of the known forms, or an option of stragglers is given without any.
    """
    if not text:
        for name, value, default in (("straggler-group", group, 1), ("seed", seed, 0), ("steps", steps, 1)):
            if value != default:
                raise ConfigError(f"{name}: got {value}, expected {default} without stragglers; give --stragglers")
        return None
    if steps < 1:
        raise ConfigError(f"steps: got {steps}, expected an integer >= 1")
    kind, _, rest = text.partition(":")
    if kind == StragglerKind.RANKS.value:
        factors = _pairs(rest, "=", "stragglers", text)
        return Stragglers(ranks=tuple(factors), factors=tuple(factors.values()), group=group, seed=seed)
    fields = next((names for known, names in _FIELDS.items() if known.value == kind), ())
    values = rest.split(":")
    if not fields or len(values) != len(fields):
        raise ConfigError(f"stragglers: got {text!r}, expected {STRAGGLER_FORMS}")
    try:
        numbers = {name: float(value) for name, value in zip(fields, values, strict=True)}
    except ValueError:
        raise ConfigError(f"stragglers: got {text!r}, expected {STRAGGLER_FORMS}") from None
    return Stragglers(kind=kind, group=group, seed=seed, **numbers)  # type: ignore[arg-type]


def read_slow_links(text: str) -> dict[int, float]:
    """Shares of NIC rates by node, of a text such as `"3:0.5,7:0.9"`.

    Raises
    ------
    ConfigError
        If the text has another form, or a share is none.
    """
    shares = _pairs(text, ":", "--slow-links", text) if text else {}
    problems = Problems()
    for node, share in shares.items():
        if not 0 < share <= 1:
            problems.add("--slow-links", f"{node}:{share:g}", "what is left of the rate, a share in (0, 1]")
    problems.raise_if_any()
    return shares


def check_slow_nodes(shares: dict[int, float], cluster: Cluster) -> None:
    """Refuse nodes that the cluster does not have.

    Raises
    ------
    ConfigError
        Naming each of them.
    """
    problems = Problems()
    for node, share in shares.items():
        if not 0 <= node < cluster.nodes:
            problems.add("--slow-links", f"{node}:{share:g}", f"nodes from 0 to {cluster.nodes - 1} of {cluster.name}")
    problems.raise_if_any()


def _pairs(text: str, mark: str, where: str, whole: str) -> dict[int, float]:
    try:
        pairs = [part.split(mark) for part in text.split(",")]
        return {int(key): float(value) for key, value in pairs}
    except ValueError:
        example = f"3{mark}0.5,7{mark}0.9"
        raise ConfigError(f"{where}: got {whole!r}, expected whole numbers and values such as {example}") from None
