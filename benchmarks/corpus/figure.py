"""The scatter of the accuracy page: predicted against measured step times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dist_training_sim.validation import RowResult

COLOURS = ("#0072B2", "#D55E00", "#0E9F6E", "#CC79A7", "#6B6B6B")  # Okabe and Ito, as all figures
FAMILIES = {
    "A100, V100": ("A100", "V100"),
    "H100, H200": ("H100", "H200", "GH200"),
    "B200, B300, GB200, GB300": ("B200", "B300", "GB"),
    "AMD": ("MI",),
    "TPU, Trainium, Gaudi, other": ("",),
}


def draw(rows: Sequence[RowResult]) -> Any:
    """Predicted over measured step times above, predicted / measured below, by kind of accelerator."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    left = list(rows)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7, 8), dpi=140, sharex=True, height_ratios=(3, 1.4), layout="constrained"
    )
    for colour, (title, starts) in zip(COLOURS, FAMILIES.items(), strict=True):
        mine = [row for row in left if row.labels["accelerator"].startswith(starts)]
        left = [row for row in left if row not in mine]
        _points(above, below, mine, colour, f"{title} ({len(mine)})")
    ends = [min(float(row.measured or 0) for row in rows) / 1.3, max(float(row.measured or 0) for row in rows) * 1.3]
    for factor, line in ((1.0, "-"), (1.2, ":"), (0.8, ":")):
        above.loglog(ends, [end * factor for end in ends], line, color="0.4", lw=0.9)
        below.axhline(factor, ls=line, color="0.4", lw=0.9)
    above.set(ylabel="predicted step time, s", xlim=ends, ylim=ends)
    above.set_title("Published step times and their predictions; lines: equal, and 20 % off", fontsize=10)
    below.set(xlabel="measured step time, s", ylabel="predicted / measured", ylim=(0.35, 1.85))
    above.legend(frameon=False, fontsize=8)
    plt.close(figure)
    return figure


def _points(above: Any, below: Any, rows: Sequence[RowResult], colour: str, label: str) -> None:
    style: dict[str, Any] = {"ms": 3.5, "alpha": 0.6, "color": colour, "markeredgewidth": 0}
    measured, predicted = [row.measured for row in rows], [row.predicted for row in rows]
    above.loglog(measured, predicted, "o", label=label, **style)
    below.semilogx(measured, [1 + (row.error or 0.0) for row in rows], "o", **style)
