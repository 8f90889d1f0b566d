// Seconds from one step to the next: the makespan where ranks meet for the gradient norm; where each goes on alone
// (optimizer post-validation), the longest rank from its first task to its last, since the next step starts with the
// same stagger.
#pragma once

#include <vector>

#include "engine/spread.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

class PeriodRecorder {
 public:
  explicit PeriodRecorder(const StepPlan& plan) : meets_(plan.ranks_meet), began_s_(plan.order.size()) {}

  void begin(std::size_t rank, double start_s) {
    began_s_[rank].assign(1, start_s);
  }  // its first compute, where ranks are alike
  void visit(const TaskInfo& info, const Instances& instances);
  double finish(const SpreadEnd& end) const { return meets_ ? end.makespan_s : longest_s_; }

 private:
  bool meets_;
  std::vector<std::vector<double>> began_s_;  // per pipeline rank, per unit
  double longest_s_ = 0;
};

}  // namespace dts
