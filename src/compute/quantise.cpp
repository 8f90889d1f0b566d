#include "compute/quantise.hpp"

#include "compute/numeric.hpp"

namespace dts {

namespace {

constexpr double kInputBytes = 2;  // 16-bit operands

bool per_tensor(QuantiseRecipe recipe) noexcept {
  return recipe == QuantiseRecipe::Fp8Tensor || recipe == QuantiseRecipe::Fp8Delayed ||
         recipe == QuantiseRecipe::Int8Switch;
}

QuantiseConstants constants_of(const DeviceSpec& d, QuantiseRecipe recipe) noexcept {
  switch (recipe) {
    case QuantiseRecipe::Fp8Tensor: return d.quantise_fp8_tensor;
    case QuantiseRecipe::Fp4Block: return d.quantise_fp4_block;
    case QuantiseRecipe::Int8Row:
    case QuantiseRecipe::Int8Switch:
    case QuantiseRecipe::Fp8Block: return d.quantise_fp8_block;
    case QuantiseRecipe::Fp8Delayed: {  // of the two kernels the one that reads the maximum is gone
      const QuantiseConstants& q = d.quantise_fp8_tensor;
      return {std::max(q.bytes_per_element - kInputBytes, 0.0), q.efficiency, q.floor_s / 2};
    }
    case QuantiseRecipe::Mxfp8: break;
  }
  const QuantiseConstants& q = d.quantise_fp8_block;
  return {q.bytes_per_element + 1.0 / 32, q.efficiency, q.floor_s};
}

}  // namespace

int quantise_kernels(QuantiseRecipe recipe) noexcept { return recipe == QuantiseRecipe::Fp8Tensor ? 2 : 1; }

int stored_directions(QuantiseRecipe recipe) noexcept { return per_tensor(recipe) ? 1 : 2; }

double quantise_time_s(const DeviceSpec& d, QuantiseRecipe recipe, double elements, int directions,
                       double tensors) noexcept {
  if (!(elements > 0)) return 0;
  const QuantiseConstants q = constants_of(d, recipe);
  const double written = std::max(q.bytes_per_element - kInputBytes, 0.0);
  const double bytes = q.bytes_per_element + (std::min(directions, stored_directions(recipe)) - 1) * written;
  return saturate(tensors * q.floor_s + bytes * elements / (q.efficiency * d.hbm_Bps));
}

}  // namespace dts
