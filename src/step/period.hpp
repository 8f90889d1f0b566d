// Seconds from one step to the next: the makespan where ranks meet for the gradient norm; where each goes on alone
// (optimizer post-validation), the longest rank from its first task to its last, since the next step starts with the
// same stagger.
#pragma once

#include <vector>

#include "engine/spread.hpp"
#include "step/step_program.hpp"

namespace dts {

class PeriodRecorder {
 public:
  // Both must outlive the recorder.
  PeriodRecorder(const StepPlan& plan, const StepProgram& step) : step_(step), meets_(plan.ranks_meet), began_s_(plan.order.size()) {}

  void visit(TaskId task, const Instances& instances);
  double finish(const SpreadEnd& end) const { return meets_ ? end.makespan_s : longest_s_; }

 private:
  const StepProgram& step_;
  bool meets_;
  std::vector<std::vector<double>> began_s_;  // per pipeline rank, per unit
  double longest_s_ = 0;
};

}  // namespace dts
