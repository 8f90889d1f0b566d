#include "compute/memory_bound.hpp"

#include "compute/numeric.hpp"
#include "compute/tiled.hpp"

namespace dts {
namespace {

double pass_s(const DeviceSpec& device, double bytes, double efficiency) noexcept {
  return bytes > 0 ? saturate(device.memory.kernel_floor_s + bytes / (efficiency * device.hbm_Bps)) : 0;
}

}  // namespace

double stream_time_s(const DeviceSpec& d, double bytes) noexcept {
  return pass_s(d, bytes, d.memory.stream_efficiency);
}

double norm_time_s(const DeviceSpec& d, double bytes) noexcept { return pass_s(d, bytes, d.memory.norm_efficiency); }

double permute_time_s(const DeviceSpec& d, double bytes) noexcept {
  return pass_s(d, bytes, d.memory.gather_efficiency);
}

double roofline_time_s(const DeviceSpec& d, DType dtype, double flops, double bytes) noexcept {
  if (!(flops > 0 || bytes > 0)) return 0;
  const DType t = compute_dtype(d, dtype);
  const double compute_s = flops > 0 ? flops / matmul_flops(d, t, Clock::Sustained) : 0;
  const double memory_s = bytes > 0 ? bytes / (d.memory.stream_efficiency * d.hbm_Bps) : 0;
  return saturate(d.memory.kernel_floor_s + p_norm(compute_s, memory_s, gemm_constants(d, t).overlap_power));
}

}  // namespace dts
