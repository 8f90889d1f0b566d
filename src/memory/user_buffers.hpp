// Buffers that Transformer Engine registers for matmuls split beside their collectives ("userbuffers"), outside the
// allocator: one of the gathered activation's size for each overlapped matmul pass of a layer, shared by all layers
// (pytorch/module/base.py initialize_ub). Gathered operands of 8-bit recipes are stored in one byte.
#pragma once

namespace dts {

inline constexpr int kGatheredUserBuffers = 6;  // qkv, fc1 forward; qkv, proj, fc1, fc2 data gradient
inline constexpr int kReducedUserBuffers = 4;   // proj, fc2 forward; qkv, fc1 weight gradient
inline constexpr int kUserBufferStreams = 3;    // a matmul workspace for each

// `tokens` of a micro-batch before they are split over the tensor-parallel ranks.
inline double user_buffer_bytes(double tokens, double hidden, double operand_bytes, double activation_bytes) {
  return tokens * hidden * (kGatheredUserBuffers * operand_bytes + kReducedUserBuffers * activation_bytes);
}

}  // namespace dts
