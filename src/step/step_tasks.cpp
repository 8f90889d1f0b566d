#include "step/step_tasks.hpp"

#include <algorithm>

namespace dts {

StepTasks::StepTasks(const StepPlan& plan, RankView view) : plan_(plan), view_(std::move(view)) {
  out_.program = Program(static_cast<StreamId>(view_.ranks) * kStreamsPerRank);
  out_.ranks = view_.ranks;
}

TaskId StepTasks::add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps) {
  std::vector<StreamId> streams;
  streams.reserve(ranks.size());
  for (int rank : ranks) streams.push_back(static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(info.stream));
  out_.tasks.push_back(info);
  return out_.program.add(seconds, streams, deps);
}

Tasks StepTasks::collective(TaskInfo info, double seconds, int rank, const std::vector<Tasks>& after) {
  Tasks ids;
  const auto& lanes = info.stream == StreamKind::Replica ? view_.replica_lanes : view_.lanes;
  for (const std::vector<int>& lane : lanes[static_cast<std::size_t>(rank)]) {
    Tasks deps;
    int previous = -1;
    for (int member : lane) {  // members of one replica are adjacent: its tasks once are enough
      const int replica = view_.replica_of[static_cast<std::size_t>(member)];
      if (replica == previous || after.empty()) continue;
      append(deps, after[static_cast<std::size_t>(replica)]);
      previous = replica;
    }
    info.rank = lane.front();
    ids.push_back(add(info, seconds, lane, deps));
  }
  return ids;
}

Tasks StepTasks::lanes_of(const std::vector<int>& members, const Tasks& lane_tasks, StreamKind stream) const {
  Tasks deps;
  const std::vector<int>& lane_of = stream == StreamKind::Replica ? view_.replica_lane_of : view_.lane_of;
  for (int member : members) {
    const TaskId task = lane_tasks[static_cast<std::size_t>(lane_of[static_cast<std::size_t>(member)])];
    if (std::find(deps.begin(), deps.end(), task) == deps.end()) deps.push_back(task);
  }
  return deps;
}

double StepTasks::slowdown(const std::vector<int>& members) const {
  double slowest = plan_.slowdown.empty() ? 1 : 0;
  for (std::size_t i = 0; i < members.size() && !plan_.slowdown.empty(); ++i) {
    slowest = std::max(slowest, plan_.slowdown[static_cast<std::size_t>(members[i])]);
  }
  return slowest;
}

}  // namespace dts
