#include "step/tasks/step_messages.hpp"

#include <algorithm>

namespace dts {

namespace {

Message sum_of(const std::vector<CollectiveCall>& calls, const RankGrid& grid) {
  Message sum;
  for (const CollectiveCall& call : calls) {
    sum.bytes += call.bytes;
    sum.ranks = std::max(sum.ranks, static_cast<std::int32_t>(grid.size(call.axis)));
  }
  return sum;
}

}  // namespace

Message message_of(const StepPlan& plan, const RankGrid& grid, const TaskInfo& task) {
  const auto unit = [&]() -> const StageComm::Unit& {
    return plan.comm[static_cast<std::size_t>(task.stage)].units[static_cast<std::size_t>(task.piece)];
  };
  switch (task.kind) {
    case TaskKind::ParamGather:
      return sum_of(task.regather && unit().regather_s >= 0 ? unit().regather : unit().gather, grid);
    case TaskKind::GradReduce: return sum_of(unit().reduce, grid);
    case TaskKind::ReplicaReduce: return sum_of(unit().replica, grid);
    case TaskKind::PipelineSend: return {plan.send_bytes, 2};
    case TaskKind::TiedReduce: return {plan.tied_reduce_bytes, 2};
    case TaskKind::CopyReduce: return {plan.copy_reduce_bytes[static_cast<std::size_t>(task.rank)], 2};
    default: return {};
  }
}

}  // namespace dts
