// Visits the passes of an order so that each comes after all it waits for: the previous pass of its rank, and the
// passes whose outputs it reads. What cannot be reached is a deadlock.
#pragma once

#include <cstddef>
#include <vector>

#include "interrupt.hpp"
#include "parallel/stage_map.hpp"
#include "schedule/pass.hpp"

namespace dts {

class OrderWalk {
 public:
  OrderWalk(const PipelineOrder& order, const StagePlacement& placement, int micro_batches)
      : order_(order), placement_(placement), neighbours_(placement), micro_batches_(micro_batches),
        next_(order.size(), 0) {
    const auto slots = static_cast<std::size_t>(placement.stages()) * static_cast<std::size_t>(micro_batches);
    forward_done_.assign(slots, false), backward_done_.assign(slots, false);
  }

  // visit(rank, stage, pass); returns whether every pass was reached.
  template <class Visit>
  bool run(Visit visit) {
    bool left = true;
    for (bool progress = true; progress && left;) {
      progress = left = false;
      for (std::size_t rank = 0; rank < order_.size(); ++rank) {
        const std::vector<Pass>& passes = order_[rank];
        std::size_t& at = next_[rank];
        for (; at < passes.size() && can_start(rank, at); progress = true) {
          poll_interrupt(4);
          const std::size_t end = passes[at].with_next && at + 1 < passes.size() ? at + 2 : at + 1;
          for (std::size_t i = at; i < end; ++i) visit(static_cast<int>(rank), stage(rank, passes[i]), passes[i]);
          for (; at < end; ++at) finish(rank, passes[at]);
        }
        left = left || at < passes.size();
      }
    }
    return !left;
  }

  // After `run`: the first pass of a rank that was not reached.
  std::size_t stuck_at(std::size_t rank) const { return next_[rank]; }

  // Whether the outputs of other ranks that a pass reads exist.
  bool has_inputs(std::size_t rank, const Pass& pass) const {
    if (pass.kind == PassKind::BackwardWeight) return true;  // its own rank's input gradient: earlier in the list
    const bool forward = pass.kind == PassKind::Forward;
    const int from = (forward ? neighbours_.previous : neighbours_.next)[static_cast<std::size_t>(stage(rank, pass))];
    return from < 0 || (forward ? forward_done_ : backward_done_)[slot(from, pass.micro_batch)];
  }

 private:
  int stage(std::size_t rank, const Pass& pass) const {
    return placement_.stage_of(static_cast<int>(rank), pass.chunk);
  }

  std::size_t slot(int stage, int micro_batch) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(micro_batches_) +
           static_cast<std::size_t>(micro_batch);
  }

  bool can_start(std::size_t rank, std::size_t at) const {
    const std::vector<Pass>& passes = order_[rank];
    const bool pair = passes[at].with_next && at + 1 < passes.size();
    return has_inputs(rank, passes[at]) && (!pair || has_inputs(rank, passes[at + 1]));
  }

  void finish(std::size_t rank, const Pass& pass) {
    const std::size_t done = slot(stage(rank, pass), pass.micro_batch);
    if (pass.kind == PassKind::Forward) forward_done_[done] = true;
    if (gives_input_gradient(pass.kind)) backward_done_[done] = true;
  }

  const PipelineOrder& order_;
  StagePlacement placement_;
  StageNeighbours neighbours_;
  int micro_batches_;
  std::vector<std::size_t> next_;  // per rank
  std::vector<bool> forward_done_, backward_done_;
};

}  // namespace dts
