"""Library workspaces of a framework on a device, put into the profile's description."""

from __future__ import annotations

from .. import _core
from .._convert import core_of, to_core
from ..frameworks.profile import FrameworkProfile
from ..models.model import Model
from ..models.op import OpKind

__all__ = ["profile_core"]

_BEFORE_HOPPER = ("volta", "turing", "ampere", "ada")


def profile_core(profile: FrameworkProfile, generation: str, model: Model) -> _core.FrameworkProfile:
    """Core description of a profile; workspaces that follow from the device's generation are filled in.

    They are sized by architecture: PyTorch's cuBLAS handles 8.125 MiB each before Hopper and 32 MiB from then on,
    Transformer Engine's 4 MiB and 32 MiB, once more for each of four streams where experts are grouped matmuls.
    """
    if not profile.workspace:
        spec: _core.FrameworkProfile = core_of(profile)
        return spec
    spec = to_core(profile)
    grouped = any(op.kind is OpKind.GROUPED_MATMUL for run in model.layers for op in run.block.ops)
    spec.workspace_bytes = _core.library_workspace_bytes(
        generation not in _BEFORE_HOPPER, profile.workspace == "transformer_engine", grouped
    )
    return spec
