// Weight update of one rank's parameters: bytes per parameter over the bandwidth that multi-tensor kernels reach.
// Left out: gradient clipping and scaling passes, which the framework profile adds.
#pragma once

#include "hardware/device.hpp"

namespace dts {

// Bytes per parameter of a fused update: weight and `states` tensors read and written at `state_bytes` each, the
// gradient read, and a low-precision copy of the weight written (0 = none). Adam keeps 2 states: 28 at fp32.
double fused_update_bytes(double states, double state_bytes = 4, double gradient_bytes = 4,
                          double copy_bytes = 0) noexcept;

// PyTorch's foreach AdamW makes 19 passes over tensors of `element_bytes`: 38 at bf16, 76 at fp32.
double foreach_adamw_bytes(double element_bytes) noexcept;

double optimizer_time_s(const DeviceSpec& device, double parameters, double bytes_per_parameter) noexcept;

}  // namespace dts
