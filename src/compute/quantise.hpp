// The pass that converts one matmul operand to a scaled 8- or 4-bit format: t0 + bytes / (e * bandwidth), fitted on
// fp8 matmul tables that include it (docs/guide/compute.md). An operand that two matmuls read along different
// dimensions is written twice by the block-scaled recipes: their blocks lie along the dimension that is summed. Left
// out: the transposed copy that fp8 matmuls before Blackwell read.
#pragma once

#include "hardware/device.hpp"

namespace dts {

enum class QuantiseRecipe {
  Fp8Tensor,   // one scale per tensor from its current maximum: a reducing and a converting kernel
  Fp8Block,    // one scale per 1x128 block, one kernel
  Fp4Block,    // one scale per 16 elements
  Fp8Delayed,  // one scale per tensor from past maxima: Fp8Tensor without its reducing kernel
  Mxfp8,       // one scale byte per 32 elements: Fp8Block with more scales
  Int8Row,     // one scale per row from its maximum, one kernel that holds the row: costs as Fp8Block (assumed)
  Int8Switch,  // the same, used along one dimension alone
};

int quantise_kernels(QuantiseRecipe recipe) noexcept;
int stored_directions(QuantiseRecipe recipe) noexcept;  // copies of an operand that is read along both dimensions

// `directions`: dimensions along which the result is read, 1 or 2. `tensors`: cast one by one, `elements` in all.
double quantise_time_s(const DeviceSpec& device, QuantiseRecipe recipe, double elements, int directions = 1,
                       double tensors = 1) noexcept;

}  // namespace dts
