// The op vocabulary. An op states its dimensions, its sharding over tensor/expert parallel ranks and what it keeps
// for backward; FLOPs, bytes, weights and the collectives between ops follow from these (workload/flops.hpp,
// parallel/local_op.hpp). Dimensions are those of the unsharded op.
#pragma once

#include <string>

namespace dts {

enum class OpKind {
  Matmul,         // [rows, in] x [in, out]
  GroupedMatmul,  // one matmul per expert over routed rows
  Attention,      // softmax(QK')V over the sequence
  Norm,           // RMSNorm, LayerNorm: one read, one write, statistics kept
  Activation,     // GeLU, SwiGLU ...: `in_features` -> `out_features` per row
  Elementwise,    // residual add, rope, scale ...: `in_features` elements per row
  Dropout,        // elementwise with a one-byte mask kept
  Embedding,      // table lookup: `in_features` = vocabulary, `out_features` = hidden
  CrossEntropy,   // loss over `in_features` = vocabulary logits per row
  Router,         // expert scores: matmul hidden -> experts and top-k
  Dispatch,       // tokens -> experts: permute and all-to-all
  Combine,        // experts -> tokens: all-to-all and weighted sum
  Conv2d,         // per sample: spatial convolution
  Scan,           // recurrence over the sequence in chunks (state-space, linear attention): `heads` states of
                  // qk_head_dim x v_head_dim, stated FLOPs and bytes per row
  Custom,         // stated FLOPs and bytes per row
};

// Where an op's activations live along the tensor-parallel axis: input layout -> output layout.
enum class Sharding {
  Replicated,  // full -> full on every rank
  Sequence,    // token region: rows split over tp under sequence parallelism, replicated otherwise
  Column,      // full -> split features; weights split by output
  Row,         // split features -> partial sums; weights split by input
  Heads,       // split features -> split features (attention, activations between column and row)
  Vocab,       // embedding table split by row: ids -> partial sums
  Expert,      // inside routed experts, between ExpertColumn and ExpertRow: rows over ep, features over etp
  ExpertColumn,
  ExpertRow,
};

// What one "row" of an op is.
enum class Rows { Tokens, Routed, Samples };

inline constexpr const char* kBlockInput = "block";

struct Op {
  std::string name;
  OpKind kind = OpKind::Custom;
  Sharding sharding = Sharding::Sequence;
  Rows rows = Rows::Tokens;
  std::string input;  // op whose output is read; empty = the previous op, "block" = what the block itself reads

  double in_features = 0;
  double out_features = 0;
  bool bias = false;
  bool trainable = true;
  bool shared = false;          // computes with the weights of an op elsewhere in the model: held and counted there
  double extra_parameters = 0;  // weights beyond those implied by the kind (e.g. norm gain is implied)

  // Attention
  double heads = 0, kv_heads = 0, qk_head_dim = 0, v_head_dim = 0;
  bool causal = true;
  double window = 0;  // sliding window in tokens, 0 = full
  // Tokens attend within chunks of this many (Llama 4, windows and images of vision encoders), 0 = all.
  double chunk = 0;
  bool score_dropout = false;  // unfused attention also keeps the dropout mask and the dropped scores
  bool alibi = false;          // unfused attention adds a bias to the scores, copied into them before their product

  // Experts (GroupedMatmul, Router, Dispatch, Combine)
  double experts = 0, top_k = 0;

  // Elementwise, Norm, Activation, Custom: bytes moved per element of in_features at 2-byte activations.
  double forward_bytes_per_element = 0, backward_bytes_per_element = 0;
  bool saves_input = true;         // whether backward needs the op's input
  double saved_bytes_per_row = 0;  // kept besides the input (statistics, masks), split as the op's activations are
  bool norm_has_bias = false;      // the norm has a bias beside its gain
  double norm_groups = 1;          // parts of a row that share one gain of in_features / norm_groups weights
                                   // (heads in q/k norm, positions in batch norm)

  // Conv2d (rows = Samples): output positions, kernel area; in/out_features are channels.
  double output_positions = 0, kernel_area = 0, input_positions = 0;
  double groups = 1;

  // Custom, Scan: per row, forward; backward FLOPs are 2x (data grad + weight grad) when it has weights, 1x otherwise.
  double flops_per_row = 0;

  bool gathers_output = false;  // a split output is gathered over the tensor-parallel ranks (parallel/placed_model.hpp)
};

// Weights held by the whole (unsharded) op, all experts counted.
double parameter_count(const Op& op);

// Whether its backward makes a weight gradient.
bool trains_weights(const Op& op);

}  // namespace dts
