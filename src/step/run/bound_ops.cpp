#include "step/run/bound_ops.hpp"

#include "engine/time_grid.hpp"
#include "step/tasks/step_issuer.hpp"

namespace dts {

BoundOps::BoundOps(const StepPlan& plan, DataParallelTasks& parallel, ExposureRecorder& exposure)
    : plan_(plan), placement_(plan.placement()), parallel_(parallel), exposure_(exposure), pair_(plan.order.size()),
      passes_(kPlaces * plan.stages.size()), transfers_(2 * plan.stages.size()) {}

// The pairing of a pass, that it begins or that it is the second of.
Pairing BoundOps::pairing_of(const PassOp& op) {
  const auto rank = static_cast<std::size_t>(op.rank);
  Pairing pair = std::exchange(pair_[rank], {});
  if (op.first) {
    const Pass& pass = pass_of(op);
    pair = pair_[rank] = pairing(plan_, placement_, op.rank, pass, *(&pass + 1));
  }
  return pair;
}

Bound BoundOps::made(const PassOp& op, const Pairing& pair) {
  const DataParallelTasks::Opening opening = parallel_.look(pass_of(op), op.rank, op.stage, pair);
  Bound bound;
  bound.pair = pair;
  bound.cut = &opening.cut;
  bound.pass_class = opening.cut.pass_class[static_cast<std::size_t>(op.rank)];
  bound.plain = opening.cut.whole() && opening.stages.size() == 0;
  bound.alone = !op.first && opening.alone();
  bound.seconds = on_grid(opening.cut.pieces.front().seconds);
  if (op.to < 0) return bound;
  const Bound& sent = transfer(op);
  bound.send_s = sent.seconds, bound.arrivals = sent.arrivals, bound.receiver = sent.receiver;
  return bound;
}

void BoundOps::set_transfer(Bound& made, const PassOp& op) {
  const StageComm& comm = plan_.comm[static_cast<std::size_t>(op.stage)];
  made.seconds = on_grid(op.forward ? comm.send_forward_s : comm.send_backward_s);
  made.receiver = placement_.rank_of(op.to);
  made.arrivals =
      &exposure_.arriving_by(op.forward, static_cast<std::size_t>(op.rank), static_cast<std::size_t>(made.receiver));
}

}  // namespace dts
