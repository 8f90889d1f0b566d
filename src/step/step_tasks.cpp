#include "step/step_tasks.hpp"

namespace dts {

TaskId StepTasks::add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps, double own_s) {
  streams_.clear();
  for (int rank : ranks) streams_.push_back(static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(info.stream));
  out_.tasks.push_back(info);
  out_.own_s.push_back(own_s);
  return out_.program.add(seconds, streams_, deps);
}

}  // namespace dts
