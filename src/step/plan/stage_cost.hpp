// What one virtual pipeline stage costs: its blocks in order, already priced.
#pragma once

#include <vector>

#include "pricing/block_cost.hpp"
#include "schedule/pass.hpp"

namespace dts {

// What the blocks of one pass spend: the recomputation belongs to the pass that yields the input gradient.
struct PassParts {
  const PassCost* again = nullptr;  // recomputation, null if none
  const PassCost* cost = nullptr;

  double total_s() const { return (again ? again->total_s : 0) + cost->total_s; }
  double own_s() const { return (again ? again->own_s() : 0) + cost->own_s(); }
  double expert_exchange_s() const;  // exposed collectives of the expert axes
};
PassParts parts_of(const BlockCost& block, PassKind kind);

struct StageCost {
  std::vector<const BlockCost*> blocks;  // forward order; stem first and head last where the stage holds them

  double pass_s(PassKind kind) const;
  double forward_s() const { return pass_s(PassKind::Forward); }
  double backward_s() const { return pass_s(PassKind::Backward); }  // recomputation included
};

// Overlapped pair of passes: the share of their expert exchanges that runs behind the kernels of the other pass. The
// pair takes the longer of kernels (and the other collectives) and expert exchanges, more where exchanges hold
// multiprocessors (hidden_s): a bound, reached while each exchange is shorter than the kernels it runs beside
// (DeepSeek-V3, arXiv:2412.19437 fig. 4; Megatron-Core combined_1f1b.py).
double hidden_exchange(const StageCost& forward, const StageCost& backward, PassKind backward_kind);

}  // namespace dts
