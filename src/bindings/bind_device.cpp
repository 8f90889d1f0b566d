// DeviceSpec, its constants and the enums of devices and number formats.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/pickle.hpp"
#include "hardware/device.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using dts::AttentionConstants;
using dts::DeviceSpec;
using dts::DTypeRate;
using dts::GemmConstants;
using dts::MemoryConstants;
using dts::QuantiseConstants;

namespace {

void bind_enums(py::module_& m) {
  py::native_enum<dts::DType>(m, "DType", "enum.Enum")
      .value("FP64", dts::DType::FP64)
      .value("FP32", dts::DType::FP32)
      .value("TF32", dts::DType::TF32)
      .value("FP16", dts::DType::FP16)
      .value("BF16", dts::DType::BF16)
      .value("FP8", dts::DType::FP8)
      .value("FP4", dts::DType::FP4)
      .value("INT8", dts::DType::INT8)
      .finalize();
  py::native_enum<dts::DeviceKind>(m, "DeviceKind", "enum.Enum")
      .value("GPU", dts::DeviceKind::GPU)
      .value("CPU", dts::DeviceKind::CPU)
      .value("TPU", dts::DeviceKind::TPU)
      .value("ACCELERATOR", dts::DeviceKind::ACCELERATOR)
      .finalize();
  py::native_enum<dts::Clock>(m, "Clock", "enum.Enum")
      .value("BURST", dts::Clock::Burst)
      .value("SUSTAINED", dts::Clock::Sustained)
      .finalize();
}

void bind_constants(py::module_& m) {
  py::class_<DTypeRate>(m, "DTypeRate")
      .def(py::init<>())
      .def_readwrite("peak_flops", &DTypeRate::peak_flops)
      .def_readwrite("burst_share", &DTypeRate::burst_share)
      .def_readwrite("sustained_share", &DTypeRate::sustained_share)
      .def(pickled(&DTypeRate::peak_flops, &DTypeRate::burst_share, &DTypeRate::sustained_share));
  py::class_<GemmConstants>(m, "GemmConstants")
      .def(py::init<>())
      .def_readwrite("small_tile_rate", &GemmConstants::small_tile_rate)
      .def_readwrite("tiny_tile_rate", &GemmConstants::tiny_tile_rate)
      .def_readwrite("prologue_k", &GemmConstants::prologue_k)
      .def_readwrite("floor_s", &GemmConstants::floor_s)
      .def_readwrite("memory_efficiency", &GemmConstants::memory_efficiency)
      .def_readwrite("overlap_power", &GemmConstants::overlap_power)
      .def_readwrite("wave_quantisation", &GemmConstants::wave_quantisation)
      .def_readwrite("split_k_floor_s", &GemmConstants::split_k_floor_s)
      .def_readwrite("l2_factor", &GemmConstants::l2_factor)
      .def_readwrite("block_scaled_rate", &GemmConstants::block_scaled_rate)
      .def(pickled(&GemmConstants::small_tile_rate, &GemmConstants::tiny_tile_rate, &GemmConstants::prologue_k,
                   &GemmConstants::floor_s, &GemmConstants::memory_efficiency, &GemmConstants::overlap_power,
                   &GemmConstants::wave_quantisation, &GemmConstants::split_k_floor_s, &GemmConstants::l2_factor,
                   &GemmConstants::block_scaled_rate));
  py::class_<AttentionConstants>(m, "AttentionConstants")
      .def(py::init<>())
      .def_readwrite("rate_d64", &AttentionConstants::rate_d64)
      .def_readwrite("rate_d128", &AttentionConstants::rate_d128)
      .def_readwrite("rate_d256", &AttentionConstants::rate_d256)
      .def_readwrite("rate_mla", &AttentionConstants::rate_mla)
      .def_readwrite("block_overhead", &AttentionConstants::block_overhead)
      .def_readwrite("causal_overhead", &AttentionConstants::causal_overhead)
      .def_readwrite("block_q", &AttentionConstants::block_q)
      .def_readwrite("floor_s", &AttentionConstants::floor_s)
      .def_readwrite("cast_bytes", &AttentionConstants::cast_bytes)
      .def_readwrite("skips_window", &AttentionConstants::skips_window)
      .def_readwrite("sustained_share", &AttentionConstants::sustained_share)
      .def(pickled(&AttentionConstants::rate_d64, &AttentionConstants::rate_d128, &AttentionConstants::rate_d256,
                   &AttentionConstants::rate_mla, &AttentionConstants::block_overhead,
                   &AttentionConstants::causal_overhead, &AttentionConstants::block_q, &AttentionConstants::floor_s,
                   &AttentionConstants::cast_bytes, &AttentionConstants::skips_window,
                   &AttentionConstants::sustained_share));
  py::class_<MemoryConstants>(m, "MemoryConstants")
      .def(py::init<>())
      .def_readwrite("stream_efficiency", &MemoryConstants::stream_efficiency)
      .def_readwrite("norm_efficiency", &MemoryConstants::norm_efficiency)
      .def_readwrite("gather_efficiency", &MemoryConstants::gather_efficiency)
      .def_readwrite("optimizer_efficiency", &MemoryConstants::optimizer_efficiency)
      .def_readwrite("kernel_floor_s", &MemoryConstants::kernel_floor_s)
      .def(pickled(&MemoryConstants::stream_efficiency, &MemoryConstants::norm_efficiency,
                   &MemoryConstants::gather_efficiency, &MemoryConstants::optimizer_efficiency,
                   &MemoryConstants::kernel_floor_s));
  py::class_<QuantiseConstants>(m, "QuantiseConstants")
      .def(py::init<>())
      .def_readwrite("bytes_per_element", &QuantiseConstants::bytes_per_element)
      .def_readwrite("efficiency", &QuantiseConstants::efficiency)
      .def_readwrite("floor_s", &QuantiseConstants::floor_s)
      .def(pickled(&QuantiseConstants::bytes_per_element, &QuantiseConstants::efficiency, &QuantiseConstants::floor_s));
}

}  // namespace

void bind_device(py::module_& m) {
  bind_enums(m);
  bind_constants(m);
  py::class_<DeviceSpec>(m, "DeviceSpec")
      .def(py::init<>())
      .def(py::init<const DeviceSpec&>(), "other"_a)  // a copy
      .def_readwrite("name", &DeviceSpec::name)
      .def_readwrite("kind", &DeviceSpec::kind)
      .def_readwrite("hbm_bytes", &DeviceSpec::hbm_bytes)
      .def_readwrite("hbm_Bps", &DeviceSpec::hbm_Bps)
      .def_readwrite("sm_count", &DeviceSpec::sm_count)
      .def_readwrite("rates", &DeviceSpec::rates)  // a list copy: assign it whole, or edit one through rate()
      .def(
          "rate", [](DeviceSpec& d, dts::DType t) -> DTypeRate& { return d.rates[dts::index_of(t)]; }, "dtype"_a,
          py::return_value_policy::reference_internal)
      .def_readwrite("gemm", &DeviceSpec::gemm)
      .def_readwrite("gemm_fp8", &DeviceSpec::gemm_fp8)
      .def_readwrite("gemm_fp4", &DeviceSpec::gemm_fp4)
      .def_readwrite("attention_forward", &DeviceSpec::attention_forward)
      .def_readwrite("attention_backward", &DeviceSpec::attention_backward)
      .def_readwrite("memory", &DeviceSpec::memory)
      .def_readwrite("quantise_fp8_tensor", &DeviceSpec::quantise_fp8_tensor)
      .def_readwrite("quantise_fp8_block", &DeviceSpec::quantise_fp8_block)
      .def_readwrite("quantise_fp4_block", &DeviceSpec::quantise_fp4_block)
      .def_readwrite("systolic", &DeviceSpec::systolic)
      .def_readwrite("measured_kernels", &DeviceSpec::measured_kernels)
      .def(pickled(&DeviceSpec::name, &DeviceSpec::kind, &DeviceSpec::hbm_bytes, &DeviceSpec::hbm_Bps,
                   &DeviceSpec::sm_count, &DeviceSpec::rates, &DeviceSpec::gemm, &DeviceSpec::gemm_fp8,
                   &DeviceSpec::gemm_fp4, &DeviceSpec::attention_forward, &DeviceSpec::attention_backward,
                   &DeviceSpec::memory, &DeviceSpec::quantise_fp8_tensor, &DeviceSpec::quantise_fp8_block,
                   &DeviceSpec::quantise_fp4_block, &DeviceSpec::systolic, &DeviceSpec::measured_kernels));
  m.def("check_device", &dts::check_device, "device"_a);
  m.def("compute_dtype", &dts::compute_dtype, "device"_a, "dtype"_a);
  m.def("matmul_flops", &dts::matmul_flops, "device"_a, "dtype"_a, "clock"_a);
}
