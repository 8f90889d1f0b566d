#include "step/plan/stage_cost.hpp"

#include <algorithm>

#include "pricing/expert_overlap.hpp"

namespace dts {

double PassParts::expert_exchange_s() const {
  const auto exposed = [](const PassCost* part) {
    return part ? part->exposed_s[static_cast<std::size_t>(Axis::EP)] +
                      part->exposed_s[static_cast<std::size_t>(Axis::ETP)]
                : 0;
  };
  return exposed(again) + exposed(cost);
}

PassParts parts_of(const BlockCost& block, PassKind kind) {
  switch (kind) {
    case PassKind::Forward: return {nullptr, &block.forward};
    case PassKind::Backward: return {&block.recompute, &block.backward};
    case PassKind::BackwardInput: return {&block.recompute, &block.data_grad};
    case PassKind::BackwardWeight: break;
  }
  return {nullptr, &block.weight_grad};
}

double StageCost::pass_s(PassKind kind) const {
  double total = 0;
  for (const BlockCost* block : blocks) total += parts_of(*block, kind).total_s();
  return total;
}

double hidden_exchange(const StageCost& forward, const StageCost& backward, PassKind backward_kind) {
  double total_s = 0, exchange_s = 0, sm_share = 0;
  const auto add = [&](const StageCost& stage, PassKind kind) {
    for (const BlockCost* block : stage.blocks) {
      total_s += parts_of(*block, kind).total_s();
      exchange_s += parts_of(*block, kind).expert_exchange_s();
      sm_share = std::max(sm_share, block->exchange_sm_share);
    }
  };
  add(forward, PassKind::Forward), add(backward, backward_kind);
  return exchange_s > 0 ? hidden_s(exchange_s, total_s - exchange_s, sm_share) / exchange_s : 0;
}

}  // namespace dts
