#include "step/bound_ops.hpp"

#include "engine/time_grid.hpp"
#include "step/step_issuer.hpp"

namespace dts {

namespace {

constexpr std::size_t kPlaces = 16;  // four kinds, each with or without gathers and reductions

}  // namespace

BoundOps::BoundOps(const StepPlan& plan, DataParallelTasks& parallel, ExposureRecorder& exposure)
    : plan_(plan), placement_(plan.placement()), parallel_(parallel), exposure_(exposure), pair_(plan.order.size()),
      passes_(kPlaces * plan.stages.size()), transfers_(2 * plan.stages.size()) {}

const Bound& BoundOps::pass(const PassOp& op) {
  const auto rank = static_cast<std::size_t>(op.rank);
  Pairing pair = std::exchange(pair_[rank], {});
  if (op.first) {
    const Pass& pass = pass_of(op);
    pair = pair_[rank] = pairing(plan_, placement_, op.rank, pass, *(&pass + 1));
  }
  const DataParallelTasks::Place place =
      parallel_.place(op.kind, op.rank, static_cast<std::size_t>(op.index), op.stage, op.micro_batch);
  if (!place.alone) return latest_ = made(op, pair);
  const std::size_t at = static_cast<std::size_t>(op.stage) * kPlaces + static_cast<std::size_t>(op.kind) * 4 +
                         (place.own ? 2 : 0) + (place.reduces ? 1 : 0);
  Bound& known = pair.stages < 0 ? passes_[at] : pairs_[{2 * at + (op.first ? 1 : 0), pair.stages}];
  if (!known.cut) known = made(op, pair);
  return known;
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
