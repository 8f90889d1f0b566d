// Time of one product per expert, C_e = A_e B_e, with equal or unequal rows. Experts share the thread blocks of one
// launch: a tile belongs to one expert, so each expert's rows round up to whole tiles, and the launch ends with its
// deepest tile (weight gradients, whose depth is an expert's rows). Left out: the order in which tiles are taken, and
// rows that libraries pad to 16 or 32 for 8-bit types, which is less than a tile.
#pragma once

#include <vector>

#include "compute/gemm.hpp"

namespace dts {

// How a library runs one product per expert: rates are relative to the dense product of the same pass.
struct GroupedKernel {
  double forward_rate = 1, data_grad_rate = 1, weight_grad_rate = 1;
  double forward_group_s = 0, data_grad_group_s = 0, weight_grad_group_s = 0;  // fixed cost per group
};

inline constexpr GroupedKernel kGroupedSingleLaunch{};  // CUTLASS, DeepGEMM: one launch at the dense rate
// Transformer Engine: one library call per expert on several streams. SimuMax tables (B200), see the guide.
inline constexpr GroupedKernel kGroupedMultiStream{0.935, 0.924, 0.773, 3.6e-6, 4.8e-6, 0};

// `groups` products of one shape, the shape as executed (pass_shape).
double grouped_gemm_time_s(const DeviceSpec& device, DType dtype, double groups, const GemmShape& per_group,
                           GemmPass pass, double output_bytes_per_element,
                           const GroupedKernel& kernel = kGroupedSingleLaunch, Clock clock = Clock::Sustained) noexcept;

// One product per entry of `rows`; out_features x in_features is the weight. Experts without rows do nothing forward
// and in the data gradient; equal rows give the time above.
double grouped_rows_time_s(const DeviceSpec& device, DType dtype, const std::vector<double>& rows, double out_features,
                           double in_features, GemmPass pass, double output_bytes_per_element,
                           const GroupedKernel& kernel = kGroupedSingleLaunch, Clock clock = Clock::Sustained);

}  // namespace dts
