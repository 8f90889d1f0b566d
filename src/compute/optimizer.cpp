#include "compute/optimizer.hpp"

#include "compute/gemm.hpp"
#include "compute/numeric.hpp"

namespace dts {

double fused_update_bytes(double states, double state_bytes, double gradient_bytes, double copy_bytes) noexcept {
  return 2 * (1 + states) * state_bytes + gradient_bytes + copy_bytes;
}

double foreach_adamw_bytes(double element_bytes) noexcept {
  constexpr double kPasses = 19;  // counted; reproduces stas00/ml-engineering's B200 step (docs/guide/compute.md)
  return kPasses * element_bytes;
}

double adafactor_bytes(double element_bytes) noexcept { return 21 * element_bytes; }

double newton_schulz_time_s(const DeviceSpec& d, double gram, double summed, double count) noexcept {
  if (!(gram > 0 && summed > 0 && count > 0)) return 0;
  constexpr double kWritten = 2, kAdded = 4;  // bytes per result; those of a scaled sum are read first
  const auto gemm_s = [&](double m, double n, double k, double bytes) {
    return gemm_time_s(d, DType::BF16, {m, n, k}, GemmPass::Forward, bytes);
  };
  const double iteration_s =
      gemm_s(gram, gram, summed, kWritten) + gemm_s(gram, gram, gram, kAdded) + gemm_s(gram, summed, gram, kAdded);
  return saturate(count * kMuonIterations * iteration_s);
}

double optimizer_time_s(const DeviceSpec& d, double parameters, double bytes_per_parameter) noexcept {
  if (!(parameters > 0 && bytes_per_parameter > 0)) return 0;
  return saturate(d.memory.kernel_floor_s +
                  parameters * bytes_per_parameter / (d.memory.optimizer_efficiency * d.hbm_Bps));
}

}  // namespace dts
