"""The compute model of the front door: devices, equal or not, and how long a piece of work takes on them."""

from __future__ import annotations

from dataclasses import dataclass

from . import _core
from ._core import DType
from .device_types import DeviceLike, DeviceType, Overrides, build_spec, device_spec, type_of
from .errors import ConfigError, Problems
from .named_enum import member
from .units import parse_bandwidth

__all__ = ["ComputeModel", "DType", "DeviceType", "OpProfile"]

MOST_DEVICES = 1 << 20  # as of the other front-door models


@dataclass(frozen=True)
class OpProfile:
    """An op known by what it computes and moves.

    Attributes
    ----------
    flops : float
        Floating-point operations.
    bytes : float
        Bytes read and written in device memory.
    dtype : DType or str
        Type it computes in, e.g. ``"bf16"``.
    """

    flops: float
    bytes: float
    dtype: DType | str = "bf16"


def _require_amounts(**amounts: float) -> None:
    problems = Problems()
    for name, value in amounts.items():
        problems.non_negative(name, value)
    problems.raise_if_any()


class ComputeModel:
    """Time of computation on a set of devices.

    Work is stated per device. Without a device index a method answers for the slowest device, which decides a
    synchronous step. Prices are those of the core: matmuls by tiles and waves, attention by row blocks, everything
    else as the p-norm of compute and memory time plus a kernel floor, at the clock of a long training run. Formulas,
    sources and accuracy: ``docs/guide/compute.md``.

    Parameters
    ----------
    num_devices : int, default 8
        Devices; all alike until `set_device`.
    device_type : DeviceType or str, optional
        Class whose generic device is used, default ``GPU``. With `device` given it must be that device's kind.
    device : Device, DeviceSpec or str, optional
        The device, or its name in the catalogue (``"b200"``), in place of the generic one.
    peak_flops : float, optional
        Dense 16-bit matmul peak in FLOP/s; the peaks of other types keep their ratio to it. For ``CUSTOM`` it is
        required and holds for every type of 16 bits and more (narrower types run at it too).
    memory_bandwidth : float or str, optional
        Memory bandwidth, bytes/s or e.g. ``"3.35 TB/s"``. Required for ``CUSTOM``.
    efficiency : float, optional
        Share of the peak that long matmuls reach in training; replaces the device's own shares.
    memory_efficiency : float, optional
        Share of the bandwidth that streaming kernels reach.

    Raises
    ------
    ConfigError
        Naming every argument that is not physical.

    Examples
    --------
    >>> model = ComputeModel(num_devices=8, device_type=DeviceType.GPU)
    >>> model.forward_time_s(250e6, samples=32) < model.backward_time_s(250e6, samples=32)
    True
    """

    def __init__(
        self,
        num_devices: int = 8,
        device_type: DeviceType | str | None = None,
        *,
        device: DeviceLike | None = None,
        peak_flops: float | None = None,
        memory_bandwidth: float | str | None = None,
        efficiency: float | None = None,
        memory_efficiency: float | None = None,
    ) -> None:
        problems = Problems()
        problems.count("num_devices", num_devices, maximum=MOST_DEVICES)
        problems.raise_if_any()
        bandwidth = None if memory_bandwidth is None else parse_bandwidth(memory_bandwidth, "memory_bandwidth")
        spec = build_spec(device_type, device, Overrides(peak_flops, bandwidth, efficiency, memory_efficiency))
        self._model = _core.ComputeModel(num_devices, spec)

    @property
    def num_devices(self) -> int:
        """Number of devices."""
        return int(self._model.devices)

    @property
    def device_type(self) -> DeviceType:
        """Class of the first device."""
        return type_of(self._model.device(0))

    def device(self, index: int) -> _core.DeviceSpec:
        """Return a copy of the description of one device."""
        return self._model.device(self._index(index))

    def speed(self, index: int) -> float:
        """Return the speed factor of one device, 1 unless `set_device` changed it."""
        return float(self._model.speed(self._index(index)))

    def set_device(self, index: int, device: DeviceLike | None = None, *, speed: float | None = None) -> None:
        """Change one device: another description, a speed factor, or both.

        Parameters
        ----------
        index : int
            Device, from 0.
        device : Device, DeviceSpec or str, optional
            What it is from now on; a name is one of the catalogue.
        speed : float, optional
            Factor on its speed: at 0.9 everything takes 1/0.9 of the time (a throttled straggler).
        """
        if device is None and speed is None:
            raise ConfigError("set_device: got neither device nor speed, expected at least one")
        at = self._index(index)
        if speed is not None:
            problems = Problems()
            problems.positive("speed", speed)
            problems.raise_if_any()
        if device is not None:
            self._model.set_device(at, device_spec(device))
        if speed is not None:
            self._model.set_speed(at, speed)

    def forward_time_s(
        self,
        parameters: float,
        samples: float,
        activations: float = 0.0,
        *,
        dtype: DType | str = "bf16",
        device: int | None = None,
    ) -> float:
        """Seconds of a forward pass of a model known by its size.

        2 FLOPs per parameter and sample; the weights read once; every activation written once and read once.

        Parameters
        ----------
        parameters : float
            Parameters that the device holds and uses once per sample.
        samples : float
            Samples that the device processes.
        activations : float, default 0
            Elements written per sample.
        dtype : DType or str, default "bf16"
            Type of weights, activations and arithmetic.
        device : int, optional
            Device; the slowest one if left out.
        """
        return float(self._model.forward_time_s(_work(parameters, samples, activations, dtype), self._index(device)))

    def backward_time_s(
        self,
        parameters: float,
        samples: float,
        activations: float = 0.0,
        *,
        dtype: DType | str = "bf16",
        device: int | None = None,
    ) -> float:
        """Seconds of a backward pass: data gradients and weight gradients, each as large as the forward pass.

        Parameters are those of `forward_time_s`.
        """
        return float(self._model.backward_time_s(_work(parameters, samples, activations, dtype), self._index(device)))

    def weight_update_time_s(
        self, parameters: float, *, bytes_per_parameter: float = 28.0, device: int | None = None
    ) -> float:
        """Seconds of an optimizer step over `parameters` held by the device.

        The default moves 28 bytes per parameter: fused Adam with fp32 weights, gradients and two states.
        """
        _require_amounts(parameters=parameters, bytes_per_parameter=bytes_per_parameter)
        return float(self._model.weight_update_time_s(parameters, bytes_per_parameter, self._index(device)))

    def op_time_s(self, profile: OpProfile, *, device: int | None = None) -> float:
        """Seconds of an op known by its FLOPs and bytes."""
        _require_amounts(flops=profile.flops, bytes=profile.bytes)
        core = _core.OpProfile(profile.flops, profile.bytes, member(DType, profile.dtype, "dtype"))
        return float(self._model.op_time_s(core, self._index(device)))

    def matmul_time_s(
        self,
        m: float,
        n: float,
        k: float,
        dtype: DType | str = "bf16",
        *,
        batch: float = 1.0,
        device: int | None = None,
    ) -> float:
        """Seconds of `batch` products ``[m, k] x [k, n]`` in one launch, without conversion to 8 or 4 bits."""
        _require_amounts(m=m, n=n, k=k, batch=batch)
        shape = _core.GemmShape(m, n, k, batch)
        return float(self._model.matmul_time_s(shape, member(DType, dtype, "dtype"), self._index(device)))

    def attention_time_s(
        self,
        batch: float,
        heads: float,
        seq_len: float,
        head_dim: float,
        *,
        kv_heads: float | None = None,
        causal: bool = True,
        window: float = 0.0,
        backward: bool = False,
        dtype: DType | str = "bf16",
        device: int | None = None,
    ) -> float:
        """Seconds of flash self-attention, one pass; masked blocks are skipped.

        `kv_heads` defaults to `heads`; `window` is the number of keys one query sees (0 = all).
        """
        keys = heads if kv_heads is None else kv_heads
        _require_amounts(batch=batch, heads=heads, kv_heads=keys, seq_len=seq_len, head_dim=head_dim, window=window)
        shape = _core.AttentionShape()
        shape.batch, shape.heads, shape.kv_heads = batch, heads, keys
        shape.q_len = shape.kv_len = seq_len
        shape.qk_dim = shape.v_dim = head_dim
        shape.causal, shape.window = causal, window
        kind = member(DType, dtype, "dtype")
        return float(self._model.attention_time_s(shape, kind, backward, self._index(device)))

    def _index(self, index: int | None) -> int:
        if index is None:
            return int(_core.ComputeModel.SLOWEST)
        problems = Problems()
        problems.count("device index", index, minimum=0, maximum=self.num_devices - 1)
        problems.raise_if_any()
        return index

    def __repr__(self) -> str:
        peak = self._model.device(0).rate(DType.BF16).peak_flops / 1e12
        return f"ComputeModel(num_devices={self.num_devices}, {self.device_type}, {peak:g} TFLOP/s bf16)"


def _work(parameters: float, samples: float, activations: float, dtype: DType | str) -> _core.GenericWork:
    _require_amounts(parameters=parameters, samples=samples, activations=activations)
    return _core.GenericWork(parameters, samples, activations, member(DType, dtype, "dtype"))
