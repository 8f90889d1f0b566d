#include "step/pieces.hpp"

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

std::vector<Piece> pieces_of(const StepPlan& plan, PassKind kind, int stage, const PassPlace& place) {
  const StageCost& cost = plan.stages[static_cast<std::size_t>(stage)];
  const StageComm& comm = plan.comm[static_cast<std::size_t>(stage)];
  const bool forward = kind == PassKind::Forward, tape = forward || gives_input_gradient(kind);
  const bool copies = tape && std::any_of(comm.units.begin(), comm.units.end(), [](const StageComm::Unit& unit) {
    return unit.activation_copy_s >= 0;
  });
  if (comm.units.empty() || !(place.gathers || place.reduces || copies)) {
    Piece whole;
    for (const BlockCost* block : cost.blocks) add_block(whole, *block, kind, place.hidden, 1);
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
    if (place.gathers && !still_there) piece.gather_s = !forward && unit.regather_s >= 0 ? unit.regather_s : unit.gather_s;
    piece.reduces = place.reduces && (unit.reduce_s >= 0 || unit.replica_s >= 0 || unit.grad_offload_s >= 0 || unit.grad_write_s >= 0);
    piece.offloads = forward && unit.activation_copy_s >= 0;
    piece.reloads = tape && !forward && unit.activation_copy_s >= 0;
    for_unit_blocks(comm, u, forward, [&](std::size_t block, double share) {
      add_block(piece, *cost.blocks[block], kind, place.hidden, share);
    });
    pieces.push_back(piece);
  }
  if (!forward) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

const std::vector<Piece>& PieceBook::pieces(const Pass& pass, int rank, int stage, const PassPlace& place) {
  std::vector<std::unique_ptr<Page>>& pages = pages_[static_cast<std::size_t>(stage) * kKinds + static_cast<std::size_t>(pass.kind)];
  for (const std::unique_ptr<Page>& page : pages) {
    const PassPlace& known = page->place;
    if (known.gathers == place.gathers && known.reduces == place.reduces && known.hidden == place.hidden) return page->pieces;
  }
  pages.push_back(std::make_unique<Page>(Page{place, pieces_of(plan_, pass.kind, stage, place)}));
  for (Piece& piece : pages.back()->pieces) {
    piece.pass_class = class_of({task_of(pass.kind), StreamKind::Compute, rank, stage, 0, piece.index, place.hidden});
  }
  return pages.back()->pieces;
}

std::int32_t PieceBook::class_of(const TaskInfo& info) {
  const auto page = static_cast<std::size_t>(info.stage) * kKinds + static_cast<std::size_t>(pass_of(info.kind));
  if (known_.empty()) known_.resize(pages_.size());
  for (std::int32_t known : known_[page]) {
    const TaskInfo& other = classes_[static_cast<std::size_t>(known)];
    if (other.piece == info.piece && other.hidden == info.hidden) return known;
  }
  known_[page].push_back(static_cast<std::int32_t>(classes_.size()));
  classes_.push_back(info);
  return known_[page].back();
}

}  // namespace dts
