// Ops that move bytes and compute next to nothing: t0 + bytes / (e * bandwidth), e by kind of access. Which bytes an op
// moves is a fact of the op and of what is fused (workload/op.hpp, byte_costs.hpp). Left out: reuse in the cache.
#pragma once

#include "hardware/device.hpp"

namespace dts {

double stream_time_s(const DeviceSpec& device, double bytes) noexcept;   // elementwise passes, casts, copies
double norm_time_s(const DeviceSpec& device, double bytes) noexcept;     // fused norm and softmax: reduce, then write
double permute_time_s(const DeviceSpec& device, double bytes) noexcept;  // token rows to and from experts

// A kernel that is known only by its FLOPs and bytes: its matmul time and its stream time joined by the p-norm of the
// device's matmul, plus the kernel floor.
double roofline_time_s(const DeviceSpec& device, DType dtype, double flops, double bytes) noexcept;

}  // namespace dts
