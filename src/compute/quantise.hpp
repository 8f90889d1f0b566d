// The pass that converts one matmul operand to a scaled 8- or 4-bit format: t0 + bytes / (e * bandwidth), fitted on
// fp8 matmul tables that include it (docs/guide/compute.md). Activations are converted once per use and output
// gradients once; whether weights are converted per micro-batch or per step is the framework's choice.
#pragma once

#include "hardware/device.hpp"

namespace dts {

enum class QuantiseRecipe {
  Fp8Tensor,  // one scale per tensor from its current maximum: a reducing and a converting kernel
  Fp8Block,   // one scale per 1x128 block, one kernel
  Fp4Block,   // one scale per 16 elements
};

double quantise_time_s(const DeviceSpec& device, QuantiseRecipe recipe, double elements) noexcept;

}  // namespace dts
