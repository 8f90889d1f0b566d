#include "step/pieces.hpp"

#include <algorithm>

namespace dts {

namespace {

bool gathers(const StepPlan& plan, const Pass& pass) {
  const bool forward = pass.kind == PassKind::Forward;
  if (plan.zero == 3) return plan.gather_once ? forward && pass.micro_batch == 0 : forward || plan.reshard_after_forward;
  return plan.zero > 0 && forward && pass.micro_batch == 0 && plan.overlap_param_gather;
}

bool reduces(const StepPlan& plan, const Pass& pass) {
  if (pass.kind == PassKind::Forward) return false;
  const bool last = pass.micro_batch == plan.micro_batches - 1;
  if (plan.zero == 3) return plan.reduce_every_micro_batch || last;
  return plan.overlap_grad_reduce && (last || plan.zero == 2);  // sharded gradients cannot wait for the last
}

}  // namespace

std::vector<Piece> pieces_of(const StepPlan& plan, const Pass& pass, int stage) {
  const StageCost& cost = plan.stages[static_cast<std::size_t>(stage)];
  const std::vector<StageComm::Unit>& units = plan.comm[static_cast<std::size_t>(stage)].units;
  const bool forward = pass.kind == PassKind::Forward;
  const bool gather = gathers(plan, pass), reduce = reduces(plan, pass);
  if (units.empty() || !(gather || reduce)) return {{forward ? cost.forward_s() : cost.backward_s(), -1, -1, -1}};
  std::vector<Piece> pieces;
  std::size_t b = 0;
  for (std::size_t u = 0; u < units.size(); ++u) {
    const bool still_there = plan.zero == 3 && !forward && u + 1 == units.size();  // the last block is not resharded
    Piece piece{0, gather && !still_there ? units[u].gather_s : -1, reduce ? units[u].reduce_s : -1, static_cast<int>(u)};
    for (; b < units[u].end; ++b) {
      const BlockCost& block = *cost.blocks[b];
      piece.seconds += forward ? block.forward.total_s : block.recompute.total_s + block.backward.total_s;
    }
    pieces.push_back(piece);
  }
  if (!forward) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

}  // namespace dts
