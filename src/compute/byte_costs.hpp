// Bytes that embedding and cross-entropy move, counted per pass; `stream_time_s` turns them into seconds.
#pragma once

namespace dts {

// Table lookup: one row read and written per token.
double embedding_forward_bytes(double tokens, double hidden, double element_bytes) noexcept;

// Scatter-add of the gradient rows; a dense fp32 gradient of the table is zero-filled first.
double embedding_backward_bytes(double tokens, double hidden, double element_bytes, double vocabulary,
                                bool dense_gradient) noexcept;

// Per logit. Fused: two reads (maximum and sum) and one write forward, one read and write backward. Eager: fp32
// kernels of PyTorch, 4 passes forward and 8 backward, plus the casts from and to narrower logits.
double cross_entropy_bytes_per_logit(bool fused, double logit_bytes, bool backward) noexcept;

}  // namespace dts
