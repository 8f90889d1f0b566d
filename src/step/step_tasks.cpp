#include "step/step_tasks.hpp"

#include <algorithm>

namespace dts {

TaskId StepTasks::add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps, double own_s,
                      double held) {
  streams_.clear();
  for (int rank : ranks) streams_.push_back(static_cast<StreamId>(rank) * kStreamsPerRank + static_cast<StreamId>(info.stream));
  out_.tasks.push_back(info);
  out_.own_s.push_back(own_s);
  const double work = info.stream == StreamKind::Compute && seconds > 0 ? std::min(1.0, own_s / seconds) : 0;
  return out_.program.add(seconds, streams_, deps, {work, std::min(1.0, held)});
}

}  // namespace dts
