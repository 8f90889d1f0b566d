// Time of softmax(QK')V and of its backward on one device. Flash: blocks of query rows over the multiprocessors, each
// with the keys it sees and a fixed overhead; one rate per head dimension. Unfused: matmuls over the full score square
// plus passes over the scores. Formulas and sources: docs/guide/compute.md. Left out: paged and quantised K/V caches.
#pragma once

#include "hardware/device.hpp"

namespace dts {

struct AttentionShape {
  double batch = 1, heads = 1, kv_heads = 1;
  double q_len = 0, kv_len = 0;  // with causal and q_len < kv_len the queries are the last q_len positions
  double qk_dim = 0, v_dim = 0;  // per head
  bool causal = true;
  double window = 0;  // keys that one query sees at most, 0 = all
};

// `causal_skip`: the kernel skips blocks that are masked out; without it the whole square is computed.
double flash_attention_time_s(const DeviceSpec& device, DType dtype, const AttentionShape& shape, bool backward,
                              bool causal_skip, Clock clock = Clock::Sustained) noexcept;

// Each tensor read or written once: q, k, v, o forward, those and their gradients backward.
double flash_attention_bytes(const DeviceSpec& device, DType dtype, const AttentionShape& shape,
                             bool backward) noexcept;

// Bytes moved per score element (batch * heads * q_len * kv_len), set by what a framework fuses. Defaults: 16-bit
// scores, fused scale-mask-softmax, dropout with a mask; without dropout 8 and 14.
struct UnfusedAttentionBytes {
  double forward_bytes_per_score = 13;
  double backward_bytes_per_score = 17;
};

// A recurrence over the sequence whose kernels multiply chunk by chunk (state-space duality, delta rule), known by its
// forward FLOPs and bytes: the chunk products run at the rate that the attention kernel reaches with blocks of that
// head dimension (assumed: no published kernel table), backward recomputes the states and takes 2.5 times both.
double scan_time_s(const DeviceSpec& device, DType dtype, double head_dim, double forward_flops, double forward_bytes,
                   bool backward) noexcept;
inline constexpr double kScanBackward = 2.5;
inline constexpr int kScanKernels = 5;  // mamba_ssm ssd_combined.py: cumulated decay, states, passing, products, output

double unfused_attention_time_s(const DeviceSpec& device, DType dtype, const AttentionShape& shape, bool backward,
                                const UnfusedAttentionBytes& bytes = {}) noexcept;

double unfused_attention_bytes(const AttentionShape& shape, bool backward, const UnfusedAttentionBytes& bytes) noexcept;

}  // namespace dts
