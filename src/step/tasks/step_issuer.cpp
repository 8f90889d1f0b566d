#include "step/tasks/step_issuer.hpp"

#include <numeric>
#include <vector>

namespace dts {

TaskId StepIssuer::issue(const DataParallelTasks::Opening& o, const FewTasks& inputs) {
  DataParallelTasks::Flow flow = parallel_.open(o);
  const double hidden = o.cut.place.pair.hidden;
  const std::int32_t pass_class = o.cut.pass_class[static_cast<std::size_t>(o.rank)];
  TaskId done = kNoTask;
  for (std::size_t i = 0; i < flow.pieces.size(); ++i) {
    const Piece& piece = flow.pieces[i];
    FewTasks waits = parallel_.before(flow, i);
    if (i == 0) waits.add(inputs);
    const TaskInfo info{task_of(o.pass.kind),    StreamKind::Compute, o.rank, o.stage,
                        o.pass.micro_batch,      piece.index,         hidden, false,
                        i == 0 ? pass_class : -1};
    done = tasks_.add(info, piece.seconds, o.rank, waits, piece.own_s);
    parallel_.after(flow, i, done);
  }
  return done;
}

void StepIssuer::tail() {
  parallel_.reduce_rest();
  const int pp = static_cast<int>(plan_.order.size());
  for (int rank = 0; rank < static_cast<int>(plan_.copy_reduce_s.size()) / 2; ++rank) {
    reduce_between(TaskKind::CopyReduce, plan_.copy_reduce_s[static_cast<std::size_t>(rank)], rank, pp - 1 - rank);
  }
  if (plan_.tied_reduce_s > 0 && pp > 1) reduce_between(TaskKind::TiedReduce, plan_.tied_reduce_s, 0, pp - 1);
  parallel_.update(plan_.ranks_meet ? sync() : kNoTask);
}

// Gradients of parameters that two pipeline ranks both hold. Its stream runs it after the ranks' other reductions.
void StepIssuer::reduce_between(TaskKind kind, double seconds, int a, int b) {
  const TaskId id = tasks_.add({kind, StreamKind::DataParallel, a, a, plan_.micro_batches - 1, -1}, seconds,
                               std::vector<int>{a, b}, FewTasks{parallel_.last(a), parallel_.last(b)});
  parallel_.wait_for(a, id), parallel_.wait_for(b, id);
}

TaskId StepIssuer::sync() {
  std::vector<int> everyone(plan_.order.size());
  std::iota(everyone.begin(), everyone.end(), 0);
  Tasks deps;
  for (int rank : everyone) {
    const FewTasks leaving = parallel_.leaving(rank);
    deps.insert(deps.end(), leaving.data(), leaving.data() + leaving.size());
  }
  return tasks_.add({TaskKind::Sync, StreamKind::Compute, 0, 0, plan_.micro_batches - 1, -1}, 0, everyone, deps);
}

Pairing pairing(const StepPlan& plan, const StagePlacement& placement, int rank, const Pass& first,
                const Pass& second) {
  const int a = plan.like(placement.stage_of(rank, first.chunk)), b = plan.like(placement.stage_of(rank, second.chunk));
  return {a * placement.stages() + b, hidden_exchange(plan.stages[static_cast<std::size_t>(a)],
                                                      plan.stages[static_cast<std::size_t>(b)], second.kind)};
}

}  // namespace dts
