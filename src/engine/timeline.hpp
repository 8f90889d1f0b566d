// Execution with fixed durations. The order on every stream is known beforehand, so the timeline is a longest path:
// one max-plus sweep in program order, linear in tasks, no event queue.
#pragma once

#include <vector>

#include "engine/program.hpp"

namespace dts {

inline constexpr TaskId kNoTask = static_cast<TaskId>(-1);

struct Timeline {
  std::vector<double> start_s, end_s;
  // The task whose end set this task's start: the previous task on a shared stream if that was last to end, else the
  // dependency that was; kNoTask for a task that starts at 0. Following causes back gives the critical path.
  std::vector<TaskId> cause;
  double makespan_s = 0;
  TaskId last = kNoTask;  // a task that ends at makespan_s
};

Timeline execute(const Program& program);

// Tasks on the critical path, first to last.
std::vector<TaskId> critical_path(const Timeline& timeline);

}  // namespace dts
