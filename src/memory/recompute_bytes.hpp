// What recomputation leaves of a block's saved tensors, and what it needs while a block runs again.
//   none       everything
//   selective  what the named modules of the block make (parallel/recompute_modules.hpp) is rebuilt, each when backward
//              reaches it; by default core attention (Korthikanti et al. 2022, arXiv:2205.05198 §5), which under a
//              flash kernel keeps no more than its log-sum-exp
//   full       the block's input; while a block runs again its whole tape is live, once per rank
// A rule that keeps chosen op outputs instead (torchtitan's per-op rule) is `kept_outputs`.
#pragma once

#include <vector>

#include "memory/saved_bytes.hpp"
#include "parallel/recompute_modules.hpp"

namespace dts {

struct KeptBytes {        // bytes per token of one block
  double kept = 0;        // from forward to backward, for every block and micro-batch in flight
  double recomputed = 0;  // live beside it while one block runs backward
};

// What selective recomputation does to one saved tensor.
struct TensorFate {
  double kept = 0;  // bytes per token; a module whose input was kept cast keeps it uncast
  int region = -1;  // that rebuilds it; -1: it stays
};
struct SelectiveFates {
  std::vector<TensorFate> tensors;          // of `saved_tensors`
  std::vector<std::size_t> rebuilt_before;  // per region: the op whose backward needs it first
};
SelectiveFates selective_fates(const std::vector<Op>& ops, const std::vector<SavedTensor>& tensors,
                               const SavedContext& context, const std::vector<RecomputeRegion>& regions);

// `partition_block_input` splits the kept block input over tp even without sequence parallelism.
KeptBytes kept_bytes(const std::vector<Op>& ops, const SavedContext& context, Recompute recompute,
                     bool partition_block_input = false,
                     const std::vector<RecomputeModule>& modules = {RecomputeModule::CoreAttention});

// Keeps the block's input and, of op i, the share 1 - recomputed_shares[i] of its output (for attention the
// log-sum-exp too); the rest of the tape is rebuilt in backward. Throws ConfigError unless there is one share per op.
KeptBytes kept_outputs(const std::vector<Op>& ops, const SavedContext& context,
                       const std::vector<double>& recomputed_shares);

}  // namespace dts
