// Which virtual stages a rank gathers the parameters of before each of its passes.
#pragma once

#include <vector>

#include "step/step_program.hpp"

namespace dts {

class GatherOrder {
 public:
  explicit GatherOrder(const StepPlan& plan);

  // In order of issue; the stage of the pass itself, if it is among them, is first.
  const std::vector<int>& before(int rank, const Pass& pass) const;

 private:
  void every_pass(std::size_t rank);
  void first_forwards(std::size_t rank);
  void window(std::size_t rank);
  int stage_of(std::size_t rank, const Pass& pass) const;

  const StepPlan& plan_;
  std::vector<std::vector<std::vector<int>>> stages_;  // [rank][pass]
};

// Stages that a rank holds gathered while they stay between passes: [pass]. Empty unless plan.keeps_gathered.
std::vector<std::vector<int>> gathered_stages(const StepPlan& plan, int rank);

}  // namespace dts
