"""Bus bandwidth or time of collectives over the message size: predicted curves and measured points from plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigError, Problems
from .inputs import as_list, vector
from .style import theme_named
from .sweeps import Series, plot_sweeps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["collective_curves"]


def _pair(item: object, bandwidth: bool) -> tuple[object, object]:
    """Size and value of one point: a `CollectiveEstimate` or a pair."""
    value = getattr(item, "busbw_Bps" if bandwidth else "time_s", None)
    if value is not None and hasattr(item, "size_bytes"):
        return item.size_bytes, value
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    return item, None


def _series(problems: Problems, where: str, label: str, points: Iterable[object], **look: object) -> Series | None:
    items = [_pair(item, bool(look["bandwidth"])) for item in as_list(where, points)]
    unpaired = [i for i, (_, value) in enumerate(items) if value is None]
    if unpaired:
        problems.add(
            f"{where}[{unpaired[0]}]", items[unpaired[0]][0], "a pair (size_bytes, value) or a CollectiveEstimate"
        )
        return None
    sizes = vector(problems, where, [size for size, _ in items], "size_bytes", positive=True)
    values = vector(problems, where, [value for _, value in items], "value", positive=True)
    return Series(
        label, sizes.tolist(), values.tolist(), measured=bool(look["measured"]), colour=int(str(look["colour"]))
    )


def _curves(predicted: object, measured: object, bandwidth: bool) -> list[Series]:
    problems = Problems()
    series: list[Series | None] = []
    labels: list[str] = []
    for kind, given in (("predicted", predicted), ("measured", measured)):
        if not isinstance(given, Mapping):
            raise ConfigError(f"{kind}: got {type(given).__name__}, expected a mapping of labels to points")
        for label, points in given.items():
            labels += [] if label in labels else [label]
            text = f"{label}, measured" if kind == "measured" else str(label)
            series.append(
                _series(
                    problems,
                    f"{kind}[{label!r}]",
                    text,
                    points,
                    measured=kind == "measured",
                    colour=labels.index(label),
                    bandwidth=bandwidth,
                )
            )
    problems.raise_if_any()
    return [one for one in series if one is not None]


def collective_curves(
    theme: str,
    predicted: Mapping[str, Iterable[object]],
    measured: Mapping[str, Iterable[object]] | None = None,
    *,
    bandwidth: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw collectives over the size; see `Visualizer.plot_collectives`."""
    theme_named(theme)
    series = _curves(predicted, measured or {}, bandwidth)
    heading = "Bus bandwidth over the message size" if bandwidth else "Time over the message size"
    note = "lines are predicted, points measured" if measured else ""
    return plot_sweeps(series, title or heading, note=note, bandwidth=bandwidth, theme=theme)
