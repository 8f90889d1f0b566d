"""The attention kernel a framework runs, put into a device's description."""

from __future__ import annotations

from .. import _core
from .._convert import once_per_object, to_core
from ..catalog.constants import attention_constants
from ..errors import ConfigError, MissingDataError
from ..frameworks.profile import FrameworkProfile
from ..hardware.device import Device
from ..hardware.rates import clock_at

__all__ = ["device_core", "generation_of", "use_attention_kernel"]


def generation_of(device: str) -> str:
    """Generation of a catalogue device; empty for a device that the catalogue does not know."""
    try:
        return Device.from_catalog(device).generation
    except (ConfigError, MissingDataError):
        return ""


@once_per_object
def device_core(device: Device, profile: FrameworkProfile) -> _core.DeviceSpec:
    """Core description of a device under a framework's attention kernel."""
    spec: _core.DeviceSpec = to_core(device)
    use_attention_kernel(spec, device.generation, profile, _clock_under_cap(device))
    return spec


def _clock_under_cap(device: Device) -> float:
    """Factor on the clock of long steps under the device's power cap over that of the catalogue's."""
    try:
        usual_w = Device.from_catalog(device.name).power_w
    except (ConfigError, MissingDataError):
        return 1.0
    return clock_at(device.power_w / usual_w) if device.power_w and usual_w else 1.0


def use_attention_kernel(
    spec: _core.DeviceSpec, generation: str, profile: FrameworkProfile, clock: float = 1.0
) -> None:
    """Give a description the constants of the framework's kernel, where one was measured on such a device.

    Elsewhere the device's own default stands: nobody knows that kernel's rate on it. `clock` is a factor on the clock
    that the kernel keeps in long steps.
    """
    if not profile.attention_kernel:
        return
    try:
        constants = attention_constants(spec.name, generation, profile.attention_kernel)
    except MissingDataError:
        return
    for name, value in constants.items():
        setattr(spec, name, to_core(value.at_clock(clock)))
