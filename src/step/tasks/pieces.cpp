#include "step/tasks/pieces.hpp"

#include <algorithm>

namespace dts {

namespace {

void add_block(Piece& piece, const BlockCost& block, PassKind kind, double hidden, double share) {
  const PassParts parts = parts_of(block, kind);
  piece.seconds += share * (parts.total_s() - hidden * parts.expert_exchange_s());
  piece.own_s += share * parts.own_s();
}

}  // namespace

TaskKind task_of(PassKind kind) {
  static constexpr TaskKind kTasks[] = {TaskKind::Forward, TaskKind::Backward, TaskKind::InputGrad,
                                        TaskKind::WeightGrad};
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

std::vector<Piece> pieces_of(const StepPlan& plan, PassKind kind, int stage, const PassPlace& place) {
  const StageCost& cost = plan.stages[static_cast<std::size_t>(stage)];
  const StageComm& comm = plan.comm[static_cast<std::size_t>(stage)];
  const bool forward = kind == PassKind::Forward, tape = forward || gives_input_gradient(kind);
  const bool copies = tape && std::any_of(comm.units.begin(), comm.units.end(),
                                          [](const StageComm::Unit& unit) { return unit.activation_copy_s >= 0; });
  if (comm.units.empty() || !(place.gathers || place.reduces || copies)) {
    Piece whole;
    for (const BlockCost* block : cost.blocks) add_block(whole, *block, kind, place.pair.hidden, 1);
    return {whole};
  }
  std::vector<Piece> pieces;
  for (std::size_t u = 0; u < comm.units.size(); ++u) {
    const StageComm::Unit& unit = comm.units[u];
    const bool last = u + 1 == comm.units.size();
    // Of the last unit the parameters are not resharded, nor its activations copied: backward starts with it.
    const bool still_there = plan.zero == 3 && !plan.keeps_gathered && !forward && last;
    Piece piece;
    piece.index = static_cast<int>(u);
    if (place.gathers && !still_there)
      piece.gather_s = !forward && unit.regather_s >= 0 ? unit.regather_s : unit.gather_s;
    piece.reduces = place.reduces &&
                    (unit.reduce_s >= 0 || unit.replica_s >= 0 || unit.grad_offload_s >= 0 || unit.grad_write_s >= 0);
    piece.offloads = forward && unit.activation_copy_s >= 0;
    piece.reloads = tape && !forward && unit.activation_copy_s >= 0;
    for_unit_blocks(comm, u, forward, [&](std::size_t block, double share) {
      add_block(piece, *cost.blocks[block], kind, place.pair.hidden, share);
    });
    pieces.push_back(piece);
  }
  if (!forward) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

const CutPass& PieceBook::cut(PassKind kind, int rank, int stage, const PassPlace& place) {
  const int like = plan_.like(stage);
  std::vector<std::unique_ptr<CutPass>>& pages =
      pages_[static_cast<std::size_t>(like) * kKinds + static_cast<std::size_t>(kind)];
  auto page = std::find_if(pages.begin(), pages.end(), [&](const std::unique_ptr<CutPass>& known) {
    return known->place.gathers == place.gathers && known->place.reduces == place.reduces &&
           known->place.pair.stages == place.pair.stages;
  });
  if (page == pages.end()) {
    std::vector<Piece> pieces = pieces_of(plan_, kind, like, place);
    page = pages.insert(page, std::make_unique<CutPass>(CutPass{place, std::move(pieces),
                                                                std::vector<std::int32_t>(plan_.order.size(), -1)}));
  }
  CutPass& pass = **page;
  std::int32_t& pass_class = pass.pass_class[static_cast<std::size_t>(rank)];
  for (const std::unique_ptr<CutPass>& other : pages) {
    if (pass_class < 0 && other->place.pair.stages == place.pair.stages)
      pass_class = other->pass_class[static_cast<std::size_t>(rank)];
  }
  if (pass_class < 0) {
    pass_class = static_cast<std::int32_t>(classes_.size());
    classes_.push_back({task_of(kind), StreamKind::Compute, rank, like, 0, -1, place.pair.hidden, false, -1});
  }
  return pass;
}

}  // namespace dts
