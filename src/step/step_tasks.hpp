// Emits the tasks of a step onto the streams of the pipeline ranks.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

using Tasks = std::vector<TaskId>;

class StepTasks {
 public:
  // `interference`: tasks of a rank slow each other (engine/interference.hpp).
  StepTasks(int pp, bool interference) {
    out_.program = Program(static_cast<StreamId>(pp) * kStreamsPerRank, interference ? kStreamsPerRank : 0);
  }

  // On one stream of each of the pipeline ranks. `own_s`: the part of `seconds` that a slow rank stretches, and that slows
  // beside collectives; `held`: the share of a device's multiprocessors that the task holds.
  TaskId add(const TaskInfo& info, double seconds, const std::vector<int>& ranks, const Tasks& deps, double own_s = 0,
             double held = 0);

  StepProgram finish() && { return std::move(out_); }

 private:
  StepProgram out_;
  std::vector<StreamId> streams_;
};

inline void append(Tasks& all, const Tasks& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace dts
