// Lowering of one block: ops x sharding -> what one rank does for one micro-batch, with the collectives that the
// sharding implies. Nobody writes "two all-reduces per layer": each op says which activation layout it reads and
// writes along the tensor-parallel axis, and a change of layout is a collective.
//
//   layout change (forward)          with sequence parallelism        without
//   tokens  -> full (column matmul)  all-gather | bwd reduce-scatter  nothing | bwd all-reduce
//   partial -> tokens (row matmul)   reduce-scatter | bwd all-gather  all-reduce | bwd nothing
//   tokens  -> routed (dispatch)     parallel/expert_lowering.hpp; combine is its mirror image
//
// Context parallelism touches attention alone. With c ranks that split the sequence, U bytes of keys and values on
// each:
//   ring        forward c - 1 transfers of U to the next rank; backward c: U, then 2U (their gradients too), then U
//   all-gather  keys and values gathered before attention, again before its backward, gradients reduce-scattered
//   all-to-all  q, k, v in and the output back; backward the mirror image. Keys and values of a rank with fewer heads
//               than ranks are sent as many times as there are ranks.
//
// Source: Shoeybi et al. arXiv:1909.08053, Korthikanti et al. arXiv:2205.05198 (sequence parallelism),
// NVIDIA/TransformerEngine pytorch/attention/dot_product_attention/context_parallel.py (context parallelism).
#pragma once

#include <vector>

#include "comm/collective.hpp"
#include "comm/token_exchange.hpp"
#include "parallel/expert_load.hpp"
#include "parallel/profile.hpp"
#include "parallel/rank_grid.hpp"
#include "parallel/strategy.hpp"
#include "workload/model.hpp"

namespace dts {

struct CollectiveCall {
  CollectiveKind kind = CollectiveKind::AllReduce;
  Axis axis = Axis::TP;
  double bytes = 0;  // per comm/collective.hpp's size convention; SendRecv: every member sends to the next
  double load = 1;   // what the busiest member moves over that: it ends the collective
  TokenCopies copies{};
};

bool operator<(const CollectiveCall& a, const CollectiveCall& b) noexcept;

struct LocalOp {
  const Op* op = nullptr;
  double rows = 0;         // tokens, routed rows or samples on this rank
  double in = 0, out = 0;  // features on this rank
  double heads = 0, kv_heads = 0;
  double local_experts = 1;         // experts whose weights stand here
  double load = 1;                  // rows of the rank with the busiest experts over `rows`; it ends the layer
  std::vector<double> expert_rows;  // of that rank, per local expert; empty = equal
  double permuted_rows = 0;         // Dispatch, Combine: rows read and written in memory
  double parameters = 0;            // on this rank
  double feature_share = 1;         // of the whole op's features
  bool expert_weights = false;      // reduced over edp instead of dp * cp
  double sequence_split = 1;        // context-parallel ranks that share this attention's sequence
  bool gathered_keys = false;       // each holds all keys; otherwise they arrive one rank's at a time
  bool fresh_input = false;         // written by a norm or an activation just before
  double cast_share = 1, grad_cast_share = 1;  // of its input and output gradient, cast here before they are gathered

  double busy_rows() const noexcept { return rows * load; }

  // Beside ring attention stands one call per step of the ring.
  std::vector<CollectiveCall> forward_before, forward_beside, forward_after;
  // Backward: before the data gradient; beside it (must end before the weight gradient); beside the weight
  // gradient; after both.
  std::vector<CollectiveCall> backward_before, beside_data_grad, beside_weight_grad, backward_after;
};

// Sizes of one micro-batch on one rank.
struct LocalSizes {
  double tokens = 0;   // micro_batch * seq_len / cp: before the sequence-parallel split
  double samples = 0;  // micro_batch
  double seq_len = 0;  // whole sequence, tokens
  double activation_bytes = 2;
  double exchange_bytes = 2;  // per element of attention that is exchanged by heads
  double cast_bytes = 0;      // per element of what is cast before it is gathered for a matmul; 0 = gathered as it is
  int tp = 1, cp = 1, ep = 1, etp = 1;
  int head_split = 1;  // of the cp ranks
  bool gather_keys = false;
  bool sequence_parallel = false;
  Routing routing;

  double token_share() const noexcept { return sequence_parallel ? tp : 1; }
  // Whether the ranks of an etp group hold different tokens, which experts then gather.
  bool own_tokens() const noexcept { return sequence_parallel || tp == 1; }
  double gathered_by_experts() const noexcept { return own_tokens() ? etp : 1; }
};

LocalSizes local_sizes(const ModelSpec& model, const Strategy& strategy, const FrameworkProfile& profile,
                       double seq_len);

// An encoder's own tokens; context parallelism does not split them (Megatron-LM examples/multimodal).
LocalSizes encoder_sizes(const ModelSpec& model, const Block& block, const Strategy& strategy,
                         const FrameworkProfile& profile, double seq_len);

// The result refers into `block`, which must outlive it.
std::vector<LocalOp> lower_block(const Block& block, const LocalSizes& sizes);

}  // namespace dts
