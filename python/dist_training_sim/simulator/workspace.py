"""What a framework's libraries take on a device, put into the profile's description."""

from __future__ import annotations

from .. import _core
from .._convert import once_per_object, to_core
from ..catalog.libraries import communication_library
from ..frameworks.profile import FrameworkProfile

__all__ = ["profile_core"]

_BEFORE_HOPPER = ("volta", "turing", "ampere", "ada")
_OTHER_LIBRARIES = {"cdna": "rccl", "tpu": "none", "trainium": "none", "gaudi": "none", "ascend": "none", "cpu": "none"}


@once_per_object
def profile_core(profile: FrameworkProfile, generation: str) -> _core.FrameworkProfile:
    """Core description of a profile, with what follows from the device's generation filled in.

    Workspaces are sized by architecture: PyTorch's cuBLAS handles 8.125 MiB each before Hopper and 32 MiB from then on,
    each of Transformer Engine's 4 MiB and 32 MiB. The collective library is the vendor's.
    """
    spec: _core.FrameworkProfile = to_core(profile)
    vendors = [name for start, name in _OTHER_LIBRARIES.items() if generation.startswith(start)]
    library = vendors[0] if vendors and profile.communication_library else profile.communication_library
    spec.communication = to_core(communication_library(library or "none"))
    if profile.workspace:
        hopper_or_later = not generation.startswith(_BEFORE_HOPPER)
        spec.workspace_bytes = _core.torch_workspace_bytes(hopper_or_later)
        engine = profile.workspace == "transformer_engine"
        spec.engine_workspace_bytes = _core.engine_workspace_bytes(hopper_or_later) if engine else 0.0
    return spec
