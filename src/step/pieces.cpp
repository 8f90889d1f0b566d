#include "step/pieces.hpp"

#include <algorithm>

namespace dts {

namespace {

bool gathers(const StepPlan& plan, const Pass& pass, const PassPlace& place) {
  if (pass.kind == PassKind::BackwardWeight) return false;  // needs no weights
  const bool forward = pass.kind == PassKind::Forward;
  if (plan.zero == 3) return plan.gather_once ? place.first_forward : forward || plan.reshard_after_forward;
  return plan.zero > 0 && place.first_forward && plan.overlap_param_gather;
}

bool reduces(const StepPlan& plan, const Pass& pass, const PassPlace& place) {
  if (!gives_weight_gradient(pass.kind)) return false;
  if (plan.zero == 3) return plan.reduce_every_micro_batch || place.last_gradient;
  return plan.overlap_grad_reduce && (place.last_gradient || plan.zero == 2);  // shards cannot wait for the last
}

void add_block(Piece& piece, const BlockCost& block, PassKind kind, double hidden) {
  const PassParts parts = parts_of(block, kind);
  piece.seconds += parts.total_s() - hidden * parts.expert_exchange_s();
  piece.own_s += parts.own_s();
}

}  // namespace

TaskKind task_of(PassKind kind) {
  static constexpr TaskKind kTasks[] = {TaskKind::Forward, TaskKind::Backward, TaskKind::InputGrad, TaskKind::WeightGrad};
  return kTasks[static_cast<int>(kind)];
}

PassKind pass_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::Forward: return PassKind::Forward;
    case TaskKind::InputGrad: return PassKind::BackwardInput;
    case TaskKind::WeightGrad: return PassKind::BackwardWeight;
    default: return PassKind::Backward;
  }
}

BlockRange blocks_of(const StepPlan& plan, const TaskInfo& pass) {
  const auto v = static_cast<std::size_t>(pass.stage);
  const std::vector<const BlockCost*>& blocks = plan.stages[v].blocks;
  if (pass.piece < 0) return {blocks.begin(), blocks.end()};
  const auto& units = plan.comm[v].units;
  const auto piece = static_cast<std::size_t>(pass.piece);
  const auto at = [&](std::size_t index) { return blocks.begin() + static_cast<std::ptrdiff_t>(index); };
  return {at(piece == 0 ? 0 : units[piece - 1].end), at(units[piece].end)};
}

std::vector<Piece> pieces_of(const StepPlan& plan, const Pass& pass, int stage, const PassPlace& place) {
  const StageCost& cost = plan.stages[static_cast<std::size_t>(stage)];
  const std::vector<StageComm::Unit>& units = plan.comm[static_cast<std::size_t>(stage)].units;
  const bool forward = pass.kind == PassKind::Forward;
  const bool gather = gathers(plan, pass, place), reduce = reduces(plan, pass, place);
  if (units.empty() || !(gather || reduce)) {
    Piece whole;
    for (const BlockCost* block : cost.blocks) add_block(whole, *block, pass.kind, place.hidden);
    return {whole};
  }
  std::vector<Piece> pieces;
  std::size_t b = 0;
  for (std::size_t u = 0; u < units.size(); ++u) {
    const bool still_there = plan.zero == 3 && !forward && u + 1 == units.size();  // the last block is not resharded
    Piece piece{0, 0, gather && !still_there ? units[u].gather_s : -1, reduce ? units[u].reduce_s : -1, static_cast<int>(u)};
    for (; b < units[u].end; ++b) add_block(piece, *cost.blocks[b], pass.kind, place.hidden);
    pieces.push_back(piece);
  }
  if (!forward) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

}  // namespace dts
