"""The attention kernel a framework runs, put into a device's description."""

from __future__ import annotations

from .. import _core
from .._convert import core_of, to_core
from ..catalog.constants import attention_constants
from ..errors import ConfigError, MissingDataError
from ..frameworks.profile import FrameworkProfile
from ..hardware.device import Device

__all__ = ["device_core", "generation_of", "use_attention_kernel"]


def generation_of(device: str) -> str:
    """Generation of a catalogue device; empty for a device that the catalogue does not know."""
    try:
        return Device.from_catalog(device).generation
    except (ConfigError, MissingDataError):
        return ""


def device_core(device: Device, profile: FrameworkProfile) -> _core.DeviceSpec:
    """Core description of a device under a framework's attention kernel."""
    if not profile.attention_kernel:
        spec: _core.DeviceSpec = core_of(device)
        return spec
    spec = to_core(device)
    use_attention_kernel(spec, device.generation, profile)
    return spec


def use_attention_kernel(spec: _core.DeviceSpec, generation: str, profile: FrameworkProfile) -> None:
    """Give a description the constants of the framework's kernel, where one was measured on such a device.

    Elsewhere the device's own default stands: nobody knows that kernel's rate on it.
    """
    if not profile.attention_kernel:
        return
    try:
        constants = attention_constants(spec.name, generation, profile.attention_kernel)
    except MissingDataError:
        return
    for name, value in constants.items():
        setattr(spec, name, to_core(value))
