// What stays the same each time that an operation is run: looked up by its kind and stage, not by the operation.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "schedule/pass_ops.hpp"
#include "step/data_parallel_tasks.hpp"
#include "step/exposure.hpp"

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
  const Bound& pass(const PassOp& op);
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
  std::vector<Pairing> pair_;     // per rank: of the pass that follows
  std::vector<Bound> passes_;     // per stage and pass, by kind, and whether it gathers and reduces
  std::vector<Bound> transfers_;  // per stage and direction
  std::map<std::pair<std::size_t, int>, Bound> pairs_;  // by that and the pair
  Bound latest_, nothing_;
};

}  // namespace dts
