// Tensors a block keeps from forward to backward, op by op, in bytes per token of the rank (a rank and micro-batch has
// micro_batch * seq_len / cp tokens; image models without tokens: per sample, with seq_len = 1).
//
// Rule: a tensor is a storage with one owner, the op that wrote it. It is counted once, under the first op whose
// backward needs it, however many ops read it (a norm's output feeding three matmuls; attention's output, which
// attention and the projection both need). What is kept, by kind: norm: input and fp32 statistics; matmul: input;
// flash attention: q, k, v, output, log-sum-exp; unfused attention: q, k, v, softmax, and with dropout the mask and
// the dropped scores; activation: input (the next matmul keeps the product); dropout: 1-byte mask; embedding: int64
// ids; router: input, fp32 logits and probabilities, byte map. `Op::saved_bytes_per_row` replaces the implied
// statistics or mask where it is set. Logits and loss are temporaries (memory/temporaries.hpp).
// Korthikanti et al. 2022 (arXiv:2205.05198 §4) is the unfused case: s*b*h*(34 + 5as/h), statistics left out there.
//
// Shards: sequence regions by tp only under sequence parallelism (a column matmul keeps the sharded norm output and
// gathers it again in backward), heads and row inputs by tp, expert features by etp. Routed rows per token are
// top_k * etp / tp: balanced routing makes them independent of ep; tokens are split over tp before dispatch, and those
// of an etp group gathered. Without sequence parallelism tp ranks hold the same tokens: top_k.
#pragma once

#include <string>
#include <vector>

#include "workload/op.hpp"

namespace dts {

struct SavedContext {
  double seq_len = 1;  // of the whole sequence: attention scores span it
  int tp = 1, cp = 1, etp = 1;
  bool sequence_parallel = false;
  double activation_bytes = 2;
  double matmul_input_bytes = 0;  // stored size of a matmul input when it is a cast copy (FP8: 1); 0 = no copy
  double routed_load = 1;         // rows of the fullest expert rank over the balanced share

  bool flash_attention = true;         // false: scores are materialised
  bool attention_dropout = false;      // p > 0 on the scores
  bool hidden_dropout = true;          // p > 0 in Dropout ops
  bool attention_output_copy = false;  // a second copy of attention's output (all-to-all context parallelism in
                                       // Transformer Engine >= 2.8)
  bool packed_attention = false;       // FrameworkProfile::packed_attention
  bool eager_norm = false;             // fp32 norm in eager ops: two fp32 copies instead of the input
  bool eager_gate = false;             // gated activation in eager ops keeps the activated gate too
  bool keep_gathered_input = false;    // a column matmul keeps its gathered input instead of gathering again

  // Ranks of an etp group that hold different tokens.
  double gathered_by_experts() const noexcept { return sequence_parallel || tp == 1 ? etp : 1; }
};

inline constexpr int kBlockStorage = -1, kOwnStorage = -2;  // else the index of an op

// Keys that a row of materialised scores spans: a chunk of the sequence, or all of it.
inline double attended_keys(const Op& op, double seq_len) noexcept {
  return op.chunk > 0 && op.chunk < seq_len ? op.chunk : seq_len;
}

struct SavedTensor {
  std::string op, tensor;
  double bytes_per_token = 0;
  bool block_input = false;   // what full recomputation keeps
  int op_index = 0;           // first op that reads it: the last to need it in backward
  int storage = kOwnStorage;  // op whose output it is, kBlockStorage for what the block reads
  int made_by = 0;            // op that computes it, -1: the block reads it
  bool is_output = false;     // it is that op's output, a copy or a part of it
};

// Every saved tensor of the ops, in op order. Throws ConfigError for an illegal context or an unknown `Op::input`.
std::vector<SavedTensor> saved_tensors(const std::vector<Op>& ops, const SavedContext& context);
double saved_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context);

// Whether an op's backward reads its input: what selective recomputation of the op before may not give up.
bool keeps_input(const Op& op);

// Bytes per token of what the first op reads, and of each op's output, as this rank holds them.
double block_input_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context);
std::vector<double> output_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context);

// Bytes per token that a delayed weight gradient needs of each trainable matmul: its input and its output's gradient
// (Qi et al. arXiv:2401.10241 table 1: 32 sbh of a layer's 34). A shared input is one storage.
double weight_grad_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context);

// Bytes per token that the worst moment of the block's backward needs beyond everything the block has saved: at op i,
// what ops after i had saved is free again; the gradients of i's output and input and of the residual stream are live,
// unfused attention holds two more score tensors. Never negative.
double backward_extra_bytes_per_token(const std::vector<Op>& ops, const SavedContext& context);

}  // namespace dts
