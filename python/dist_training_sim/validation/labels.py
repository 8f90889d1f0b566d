"""What rows are named, chosen and grouped by."""

from __future__ import annotations

from ..intervals.situation import scale_of
from .corpus import Row
from .kernel_prices import family_of
from .kernels import device_label
from .row_framework import framework_of

__all__ = ["FIELDS", "labels_of"]

_SMALL = 512
FIELDS = ("id", "source", "accelerator", "framework", "kind", "model", "grade", "profile", "scale", "use")


def labels_of(row: Row) -> dict[str, str]:
    """Values of `FIELDS` but for `use`, which differs between the results of one row."""
    kernel = row.text("kernel")
    devices = row.count("hardware.gpus") or row.count("gpus")
    return {
        "id": row.id,
        "source": row.source,
        "accelerator": row.text("accelerator") or device_label(row.text("gpu")),
        "framework": row.text("framework") or row.text("library") or ("nanotron" if row.of_sweep else ""),
        "kind": row.text("model.kind") or row.text("collective") or (_family(row) if kernel else ""),
        "model": row.text("model.name") or kernel or row.text("system"),
        "grade": row.grade,
        "profile": framework_of(row) if row.section("model") else "",
        "scale": scale_of(devices) if devices else "",
    }


def _family(row: Row) -> str:
    """Family of a kernel; matmuls with a side below 512 on their own, where fixed times and waves decide."""
    family = family_of(row.text("kernel"))
    sides = [row.number(f"shape.{side}") or 0.0 for side in "mnk"]
    return "small matmul" if family == "matmul" and min(sides) < _SMALL else family
