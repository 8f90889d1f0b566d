#include "compute/quantise.hpp"

#include "compute/numeric.hpp"

namespace dts {

double quantise_time_s(const DeviceSpec& d, QuantiseRecipe recipe, double elements) noexcept {
  if (!(elements > 0)) return 0;
  const QuantiseConstants& q = recipe == QuantiseRecipe::Fp8Tensor  ? d.quantise_fp8_tensor
                               : recipe == QuantiseRecipe::Fp8Block ? d.quantise_fp8_block
                                                                    : d.quantise_fp4_block;
  return saturate(q.floor_s + q.bytes_per_element * elements / (q.efficiency * d.hbm_Bps));
}

}  // namespace dts
