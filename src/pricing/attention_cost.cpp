// Attention of one rank: whole, or its part of a sequence that context-parallel ranks share. Causal work is balanced by
// giving rank r of c the chunks r and 2c - 1 - r of 2c (zigzag); sources in parallel/local_op.hpp.
#include <algorithm>
#include <cmath>

#include "compute/memory_bound.hpp"
#include "pricing/op_cost.hpp"

namespace dts {

namespace {

// Chunks that divide the work evenly are sequences of their own.
bool chunked(const LocalOp& op, const LocalSizes& s) { return op.op->chunk > 0 && op.op->chunk < s.seq_len; }

AttentionShape shape_of(const LocalOp& op, const LocalSizes& s, double queries, double keys, bool causal) {
  const Op& o = *op.op;
  return {s.samples, op.heads, op.kv_heads, queries, keys, o.qk_head_dim, o.v_head_dim, causal, o.window};
}

// Megatron's softmax kernel scales and masks as well, where four rows of heads fill a block (fused_softmax.py
// is_kernel_available); the causal one reads nothing that is masked (scaled_upper_triang_masked_softmax.h).
bool fuses_softmax(const AttentionShape& s) {
  return s.kv_len > 16 && s.kv_len <= 4096 && std::fmod(s.q_len, 4) == 0 && std::fmod(s.batch * s.heads, 4) == 0;
}

// Bytes per element of the score matrix, forward and backward. Without the kernel fp16 scores are cast to fp32, scaled,
// masked and cast back; those of bf16, which need no scaling by layer, are masked and summed in 16 bits.
UnfusedAttentionBytes softmax_bytes(const AttentionShape& s, DType type) {
  if (fuses_softmax(s)) return s.causal ? UnfusedAttentionBytes{3, 4} : UnfusedAttentionBytes{4, 6};
  return type == DType::FP16 ? UnfusedAttentionBytes{36, 40} : UnfusedAttentionBytes{8, 10};
}

// Products write scores and read probabilities, and in backward both gradients and probabilities; dropout reads, writes
// and keeps a mask; ALiBi is copied into the scores, to which their product is then added (torch.baddbmm).
UnfusedAttentionBytes bytes_per_score(const AttentionShape& s, DType type, bool dropout, bool alibi) {
  const UnfusedAttentionBytes softmax = softmax_bytes(s, type);
  const double dropped = dropout ? 5 : 0;
  return {4 + softmax.forward_bytes_per_score + dropped + (alibi ? 4 : 0),
          8 + softmax.backward_bytes_per_score + dropped};
}

}  // namespace

// Attention stays in 16 bits under 8- and 4-bit recipes.
DType OpTimer::attention_type() const noexcept { return bytes_of(precision) < 2 ? DType::BF16 : precision; }

UnfusedAttentionBytes OpTimer::score_bytes(const LocalOp& op, const AttentionShape& shape) const {
  const bool dropout = op.op->score_dropout || profile.attention_dropout > 0;
  return bytes_per_score(shape, attention_type(), dropout, op.op->alibi);
}

double OpTimer::attention_kernel_s(const LocalOp& op, const AttentionShape& shape, bool backward) const {
  const DType type = attention_type();
  if (profile.flash_attention) return flash_attention_time_s(device, type, shape, backward, profile.causal_skip);
  return unfused_attention_time_s(device, type, shape, backward, score_bytes(op, shape));
}

// The rank's queries meet every key once: all keys at once, or one rank's after the other's.
double OpTimer::attention_bytes(const LocalOp& op, bool backward) const {
  const Op& o = *op.op;
  const double split = op.sequence_split, steps = op.gathered_keys ? 1 : split;
  const bool chunks = chunked(op, sizes);
  AttentionShape shape = shape_of(op, sizes, sizes.seq_len / split, sizes.seq_len / steps, o.causal);
  if (chunks) shape = shape_of(op, sizes, o.chunk, o.chunk, o.causal), shape.batch *= sizes.seq_len / o.chunk / split;
  const double bytes = profile.flash_attention ? flash_attention_bytes(device, attention_type(), shape, backward)
                                               : unfused_attention_bytes(shape, backward, score_bytes(op, shape));
  return bytes * (chunks ? 1 : steps);
}

// Exchanged tensors are packed by peer and put back in sequence order: two reads and two writes.
double OpTimer::exchange_copies_s(const LocalOp& op) const {
  if (sizes.head_split == 1) return 0;
  const Op& o = *op.op;
  const double features = (op.heads + op.kv_heads) * (o.qk_head_dim + o.v_head_dim) * sizes.head_split;
  return stream_time_s(device, 4 * sizes.activation_bytes * op.rows * features);
}

// Two kernels, one per chunk, each against every key up to its end; the slowest rank is the first or the last.
double OpTimer::gathered_attention_s(const LocalOp& op, bool backward) const {
  const Op& o = *op.op;
  const double n = op.sequence_split, keys = sizes.seq_len, chunk = keys / (2 * n);
  const double passes = backward ? 2 : 1;  // keys and values in sequence order; backward also their gradients
  const double copies_s = stream_time_s(device, passes * 2 * sizes.activation_bytes * sizes.samples * keys *
                                                    op.kv_heads * (o.qk_head_dim + o.v_head_dim));
  const auto kernel = [&](double queries, double until) {
    return attention_kernel_s(op, shape_of(op, sizes, queries, until, o.causal), backward);
  };
  if (!o.causal) return copies_s + kernel(2 * chunk, keys);
  return copies_s + std::max(kernel(chunk, chunk) + kernel(chunk, keys),
                             kernel(chunk, keys / 2) + kernel(chunk, keys / 2 + chunk));
}

// The rank's own two chunks are causal among themselves. Of another rank's keys either both its chunks of queries see
// the first half, or the second chunk sees all: the slower of the two sets the pace. Each later step corrects what the
// ones before it left: output forward, gradients of queries backward, read twice and written once.
RingKernels OpTimer::ring_kernels_s(const LocalOp& op, bool backward) const {
  const Op& o = *op.op;
  const double share = sizes.seq_len / op.sequence_split;
  const auto kernel = [&](double queries, double keys, bool causal) {
    return attention_kernel_s(op, shape_of(op, sizes, queries, keys, causal), backward);
  };
  const double others = o.causal ? std::max(kernel(share, share / 2, false), kernel(share / 2, share, false))
                                 : kernel(share, share, false);
  const double width = op.heads * (backward ? o.qk_head_dim : o.v_head_dim);
  const double corrected = 3 * sizes.activation_bytes * sizes.samples * share * width;
  return {kernel(share, share, o.causal), others + stream_time_s(device, corrected)};
}

double OpTimer::attention_s(const LocalOp& op, bool backward) const {
  const double copies_s = exchange_copies_s(op);
  if (chunked(op, sizes)) {
    AttentionShape shape = shape_of(op, sizes, op.op->chunk, op.op->chunk, op.op->causal);
    shape.batch *= sizes.seq_len / op.op->chunk / op.sequence_split;
    return copies_s + attention_kernel_s(op, shape, backward);
  }
  if (op.sequence_split == 1) {
    return copies_s +
           attention_kernel_s(op, shape_of(op, sizes, sizes.seq_len, sizes.seq_len, op.op->causal), backward);
  }
  if (op.gathered_keys) return gathered_attention_s(op, backward);
  const RingKernels k = ring_kernels_s(op, backward);
  return copies_s + k.own_s + (op.sequence_split - 1) * k.later_s;
}

int OpTimer::attention_kernels(const LocalOp& op) const {
  const int kernel = profile.flash_attention ? 1 : 4;  // unfused: two batched matmuls, softmax, dropout
  const int copies = sizes.head_split > 1 ? 8 : 0;
  const auto n = static_cast<int>(op.sequence_split);
  if (n == 1) return kernel + copies;
  return op.gathered_keys ? 2 * kernel + 2 : n * kernel + n - 1 + copies;
}

}  // namespace dts
