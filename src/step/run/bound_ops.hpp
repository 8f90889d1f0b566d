// What stays the same each time that an operation is run: looked up by its kind and stage, not by the operation.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "schedule/pass_ops.hpp"
#include "step/account/exposure.hpp"
#include "step/tasks/data_parallel_tasks.hpp"

namespace dts {

struct Bound {
  double seconds = 0;
  Pairing pair;
  const CutPass* cut = nullptr;                                 // of a pass
  std::int32_t pass_class = -1;                                 // on its rank
  bool plain = false;                                           // nothing happens inside
  bool alone = false;                                           // what happens inside concerns its own stage
  double send_s = 0;                                            // of a pass: the transfer of what it gives
  std::vector<ExposureRecorder::Interval>* arrivals = nullptr;  // of a transfer: what its receiver is sent
  std::int32_t receiver = -1;                                   // of a transfer: rank
};

class BoundOps {
 public:
  BoundOps(const StepPlan& plan, DataParallelTasks& parallel, ExposureRecorder& exposure);

  // In the order of execution. Stays where it is, but for a pass that is neither plain nor alone: till the next one.
  const Bound& of(const PassOp& op) {
    if (op.op == PassOpKind::Pass) return pass(op);
    if (op.op == PassOpKind::Received) return nothing_;
    return transfer(op);
  }

 private:
  static constexpr std::size_t kPlaces = 16;  // four kinds, each with or without gathers and reductions

  const Bound& pass(const PassOp& op);
  Pairing pairing_of(const PassOp& op);
  Bound made(const PassOp& op, const Pairing& pair);
  const Pass& pass_of(const PassOp& op) const {
    return plan_.order[static_cast<std::size_t>(op.rank)][static_cast<std::size_t>(op.index)];
  }
  const Bound& transfer(const PassOp& op) {
    Bound& known = transfers_[2 * static_cast<std::size_t>(op.stage) + (op.forward ? 0 : 1)];
    if (!known.arrivals) set_transfer(known, op);
    return known;
  }
  void set_transfer(Bound& made, const PassOp& op);

  const StepPlan& plan_;
  StagePlacement placement_;
  DataParallelTasks& parallel_;
  ExposureRecorder& exposure_;
  bool pairs_up_ = false;         // the order has pairs
  std::vector<Pairing> pair_;     // per rank: of the pass that follows
  std::vector<Bound> passes_;     // per stage and pass, by kind, and whether it gathers and reduces
  std::vector<Bound> transfers_;  // per stage and direction
  std::map<std::pair<std::size_t, int>, Bound> pairs_;  // by that and the pair
  Bound latest_, nothing_;
};

inline const Bound& BoundOps::pass(const PassOp& op) {
  const Pairing pair = pairs_up_ || op.first ? pairing_of(op) : Pairing{};
  pairs_up_ = pairs_up_ || op.first;
  const DataParallelTasks::Place place =
      parallel_.place(op.kind, op.rank, static_cast<std::size_t>(op.index), op.stage, op.micro_batch);
  if (!place.alone) return latest_ = made(op, pair);
  const std::size_t at = static_cast<std::size_t>(op.stage) * kPlaces + static_cast<std::size_t>(op.kind) * 4 +
                         (place.own ? 2 : 0) + (place.reduces ? 1 : 0);
  Bound& known = pair.stages < 0 ? passes_[at] : pairs_[{2 * at + (op.first ? 1 : 0), pair.stages}];
  if (!known.cut) known = made(op, pair);
  return known;
}

}  // namespace dts
