// An order as single operations, each after all that it waits for: passes, and what carries their outputs to other
// stages. Times play no part, so the operations of an order serve every strategy that runs it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "parallel/stage_map.hpp"
#include "schedule/blocking_walk.hpp"
#include "schedule/check_order.hpp"
#include "schedule/pass.hpp"
#include "schedule/walk.hpp"

namespace dts {

enum class PassOpKind : std::uint8_t {
  Pass,     // and, in the background, the transfer of what it gives to another rank
  Turn,     // the next stage is on the same rank: nothing travels
  Send,     // in the background, after a pair of passes: of what one of them gives
  Meet,     // a blocking transfer, when both ranks have come to it
  Received  // a rank goes on when the blocking transfers of its group are done, unless one of them released it
};

struct PassOp {
  PassOpKind op = PassOpKind::Pass;
  bool forward = true;  // a forward pass; an activation is carried, not a gradient
  bool first = false;   // of a group of transfers; of a pair of passes
  Released released;    // by a blocking transfer: those of its ranks that wait for nothing else
  PassKind kind = PassKind::Forward;
  std::int32_t rank = 0;   // that runs the pass, sends, or has received
  std::int32_t stage = 0;  // of the pass; what is carried comes from it
  std::int32_t to = -1;    // stage that it is carried to; of a pass: -1 where nothing leaves with it
  std::int32_t micro_batch = 0;
  std::int32_t index = -1;  // of the pass in its rank's order
};

template <class Emit>
class OpWalk {
 public:
  OpWalk(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking, Emit& emit)
      : order_(order), placement_(placement), neighbours_(placement), micro_batches_(micro_batches),
        blocking_(blocking), emit_(emit), pair_(order.size(), nullptr) {}

  // Throws ConfigError that names a deadlock.
  void run() {
    const auto on_pass = [this](int rank, int stage, const Pass& pass) { this->pass(rank, stage, pass); };
    if (!blocking_) {
      OrderWalk walk(order_, placement_, micro_batches_);
      if (!walk.run(on_pass)) check_order(order_, placement_, micro_batches_);
      return;
    }
    BlockingWalk walk(order_, placement_, micro_batches_);
    const auto on_transfer = [this](const Transfer& t, const Released& released) {
      PassOp op = carried(PassOpKind::Meet, t.forward, t.from, t.to, t.micro_batch);
      op.released = released;
      emit_(op);
    };
    const auto on_group = [this](int rank, const std::vector<Transfer>& group) {
      for (std::size_t i = 0; i < group.size(); ++i) {
        PassOp op = carried(PassOpKind::Received, group[i].forward, group[i].from, group[i].to, group[i].micro_batch);
        op.rank = rank, op.first = i == 0;
        emit_(op);
      }
    };
    walk.run(on_pass, on_transfer, on_group);
  }

 private:
  void pass(int rank, int stage, const Pass& pass) {
    const auto r = static_cast<std::size_t>(rank);
    const auto index = static_cast<std::int32_t>(&pass - order_[r].data());
    const int to = blocking_ || pass.with_next || pair_[r] ? -1 : sent_to(pass, rank, stage);
    emit_(PassOp{PassOpKind::Pass,
                 pass.kind == PassKind::Forward,
                 pass.with_next,
                 {},
                 pass.kind,
                 rank,
                 stage,
                 to,
                 pass.micro_batch,
                 index});
    if (to >= 0) return;
    if (pass.with_next) {
      pair_[r] = &pass;
      return;
    }
    if (pair_[r])
      outputs(*pair_[r], placement_.stage_of(rank, pair_[r]->chunk));  // outputs of a pair leave when both are done
    pair_[r] = nullptr;
    outputs(pass, stage);
  }

  // Stage on another rank that reads what the pass gives; -1: none.
  int sent_to(const Pass& pass, int rank, int stage) const {
    const bool forward = pass.kind == PassKind::Forward;
    if (!forward && !gives_input_gradient(pass.kind)) return -1;
    const int to = (forward ? neighbours_.next : neighbours_.previous)[static_cast<std::size_t>(stage)];
    return to >= 0 && neighbours_.rank[static_cast<std::size_t>(to)] != rank ? to : -1;
  }

  void outputs(const Pass& pass, int stage) {
    if (pass.kind == PassKind::Forward) carry(true, stage, placement_.next(stage), pass.micro_batch);
    if (gives_input_gradient(pass.kind)) carry(false, stage, placement_.previous(stage), pass.micro_batch);
  }

  void carry(bool forward, int from, int to, int micro_batch) {
    if (to < 0) return;
    const bool stays = placement_.rank_of(from) == placement_.rank_of(to);  // the turn of a wave
    if (stays || !blocking_)
      emit_(carried(stays ? PassOpKind::Turn : PassOpKind::Send, forward, from, to, micro_batch));
  }

  PassOp carried(PassOpKind kind, bool forward, int from, int to, int micro_batch) const {
    return {kind, forward, false, {}, {}, placement_.rank_of(from), from, to, micro_batch, -1};
  }

  const PipelineOrder& order_;
  StagePlacement placement_;
  StageNeighbours neighbours_;
  int micro_batches_;
  bool blocking_;
  Emit& emit_;
  std::vector<const Pass*> pair_;  // per rank: the first of a pair whose second follows
};

// Calls emit(op) for every operation of an order.
template <class Emit>
void walk_ops(const PipelineOrder& order, const StagePlacement& placement, int micro_batches, bool blocking,
              Emit emit) {
  OpWalk<Emit>(order, placement, micro_batches, blocking, emit).run();
}

}  // namespace dts
