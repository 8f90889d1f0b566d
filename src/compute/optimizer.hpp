// Weight update of one rank's parameters: bytes per parameter over the bandwidth that multi-tensor kernels reach.
// Left out: gradient clipping, which the framework profile adds.
#pragma once

#include "hardware/device.hpp"

namespace dts {

// Bytes per parameter of a fused update: weight and `states` tensors read and written at `state_bytes` each, the
// gradient read, and a low-precision copy of the weight written (0 = none). Adam keeps 2 states: 28 at fp32.
double fused_update_bytes(double states, double state_bytes = 4, double gradient_bytes = 4,
                          double copy_bytes = 0) noexcept;

// PyTorch's foreach AdamW makes 19 passes over tensors of `element_bytes`: 38 at bf16, 76 at fp32.
double foreach_adamw_bytes(double element_bytes) noexcept;

// PyTorch's foreach Adafactor on matrices makes 21 passes: norm of the weights 1, decay 2, row and column norms 2,
// outer product 1, its division, clamp and root 6, product with the gradient 3, norm 1, scale 2, update 3
// (torch/optim/_adafactor.py).
double adafactor_bytes(double element_bytes) noexcept;

// Moments of bitsandbytes' 8-bit Adam: one byte each and an fp32 maximum per block of 256 (arXiv:2110.02861).
inline constexpr double kEightBitMomentBytes = 1 + 4.0 / 256;

// Loss scaling of fp16: fp32 gradients are unscaled in place, infinities found on the way.
inline constexpr double kUnscaleBytes = 8;

// Muon (kellerjordan.github.io/posts/muon), one weight matrix: fp32 momentum (12), its Nesterov sum in 16 bits (10),
// norm and scaling of that (6), and after the iterations decay and update of the fp32 weight (18).
inline constexpr double kMuonBytes = 46;
inline constexpr int kMuonIterations = 5;

// Newton-Schulz iterations on `count` matrices in 16 bits: X X', its square, and its product with X, of the dimension
// `gram` that is not summed in X X', and the summed one, of which this rank holds `summed`.
double newton_schulz_time_s(const DeviceSpec& device, double gram, double summed, double count) noexcept;

double optimizer_time_s(const DeviceSpec& device, double parameters, double bytes_per_parameter) noexcept;

}  // namespace dts
