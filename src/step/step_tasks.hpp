// Emits the tasks of a step onto the streams of the pipeline ranks.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

using Tasks = std::vector<TaskId>;

class StepTasks {
 public:
  explicit StepTasks(int pp) { out_.program = Program(static_cast<StreamId>(pp) * kStreamsPerRank); }

  // On one stream of each of the pipeline ranks. `own_s`: the part of `seconds` that a slow rank stretches.
  TaskId add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps, double own_s = 0);

  StepProgram finish() && { return std::move(out_); }

 private:
  StepProgram out_;
  std::vector<StreamId> streams_;
};

inline void append(Tasks& all, const Tasks& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace dts
